"""What tests of reports share: leaving out the drawing where only the words matter."""

import pytest

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8ffff3f0005fe02fe"
    "dccc59e70000000049454e44ae426082"
)


@pytest.fixture
def words_only(monkeypatch):
    """Every figure is built and encoded as one pixel: drawing is most of the time of a report."""
    for module in (
        *("study_figures", "run_report", "impact_tables", "probe_tables"),
        *("calibration_figures", "chapters_order", "chapters_modes"),
    ):
        monkeypatch.setattr(f"squiggle_assets.report.{module}.png", lambda figure: PIXEL)

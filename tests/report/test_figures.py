import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from squiggle_assets.report import evidence_figures, figures, run_figures
from squiggle_assets.report.images import MAX_INLINE, markdown_image, png
from squiggle_assets.report.study_figures import claims_figure_markdown, consensus_figure_markdown
from squiggle_assets.report.timeline import timelines
from tests.report import small_study as s


@pytest.fixture(scope="module")
def lines():
    return timelines(s.run_manifest(), s.curriculum())


def on_a(table):
    return table.filter(pl.col("probe_set") == "a")


def drawings(lines, *, empty=False):
    def of(table):
        return table.clear() if empty else table

    one = lines["planted"]
    consensus = on_a(of(s.consensus_events()))
    return {
        "loss": lambda: figures.loss_curve(of(s.one_run(s.scalars())), title="planted, seed 7"),
        "trajectories": lambda: figures.trajectories(
            on_a(of(s.geometry())), consensus, metric="effective_rank", layers=[0, 1], lines=lines, alpha=0.05
        ),
        "raster": lambda: figures.raster(on_a(of(s.events())), consensus, lines=lines, alpha=0.05),
        "validation": lambda: figures.validation(of(s.scalars()), arms=list(lines)),
        "timeline": lambda: evidence_figures.consensus_timeline(consensus, lines=lines, alpha=0.05),
        "nulls": lambda: evidence_figures.null_histograms(on_a(of(s.null_draws())), arms=list(lines)),
        "outcomes": lambda: evidence_figures.outcomes(of(s.arm_outcomes()), arms=list(lines)),
        "claims": lambda: evidence_figures.claim_forest(of(s.claims())),
        "training": lambda: run_figures.training(of(s.one_run(s.scalars())), one),
        "geometry": lambda: run_figures.geometry_layers(of(s.one_run(s.geometry())), of(s.one_run(s.events())), one),
        "events": lambda: run_figures.event_map(of(s.one_run(s.events())), one),
    }


NAMES = list(drawings({"planted": None}))


@pytest.mark.parametrize("name", NAMES)
def test_equal_input_gives_equal_bytes_and_something_is_drawn(lines, name):
    first, again = (png(drawings(lines)[name](), dpi=50) for _ in range(2))
    assert first == again
    pixels = np.asarray(Image.open(io.BytesIO(first)).convert("L"))
    assert (pixels < 128).mean() > 0.001


@pytest.mark.parametrize("name", NAMES)
def test_a_table_without_rows_gives_a_figure_and_no_error(lines, name):
    assert png(drawings(lines, empty=True)[name](), dpi=30).startswith(b"\x89PNG")


def test_a_figure_depends_on_its_data(lines):
    other = s.geometry().with_columns(pl.col("value") * pl.col("step"))
    drawn = [
        figures.trajectories(
            on_a(t), on_a(s.consensus_events()), metric="effective_rank", layers=[0], lines=lines, alpha=0.05
        )
        for t in (s.geometry(), other)
    ]
    assert png(drawn[0], dpi=40) != png(drawn[1], dpi=40)


def test_observed_and_null_mean_and_p_stand_above_a_histogram(lines):
    figure = evidence_figures.null_histograms(on_a(s.null_draws()), arms=["iid"])
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    # shift draws 0..9: 5 of 10 are at least 5, p = 6 / 11 = .545; surrogate 2..11: 7 of 10, p = 8 / 11 = .727
    assert titles[0] == "shift (chance): observed 5, mean 4.50, p = 0.545, 10 draws"
    assert titles[1] == "surrogate (schedule): observed 5, mean 6.50, p = 0.727, 10 draws"


def test_the_mean_of_seeds_has_its_t_interval():
    rows = pl.DataFrame(
        {"arm": "iid", "seed": [1, 2, 3], "step": 0, "metric": "val_random_loss", "value": [1.0, 2.0, 3.0]}
    )
    figure = figures.validation(rows, arms=["iid"])
    (bar,) = figure.axes[0].collections
    # mean 2, sd 1, n 3: half width = 4.3027 / sqrt(3) = 2.4841
    np.testing.assert_allclose(bar.get_segments()[0][:, 1], [2 - 2.4841, 2 + 2.4841], atol=1e-3)


def test_verdict_q_and_n_stand_beside_every_claim():
    figure = evidence_figures.claim_forest(s.claims())
    words = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert "supported, q 0.008, n 3" in words
    assert len(words) == 4


def test_directions_are_those_after_orientation(lines):
    # topk_mass_k8 that rises means less spread: drawn as downwards
    rows = on_a(s.events()).head(1).with_columns(metric=pl.lit("topk_mass_k8"), polarity=pl.lit(1, pl.Int64))
    figure = figures.raster(rows, s.consensus_events().clear(), lines={"iid": lines["iid"]}, alpha=0.05)
    marks = {line.get_color(): len(line.get_xdata()) for line in figure.axes[0].lines if line.get_marker() == "|"}
    assert marks == {"#c44e52": 0, "#4c72b0": 1}


def test_inline_images_are_small_and_their_alt_text_is_escaped():
    shown = [claims_figure_markdown(s.claims()), consensus_figure_markdown(s.null_draws(), arm="iid", probe_set="a")]
    assert all(text.startswith("![") and len(text) < MAX_INLINE * 4 / 3 + 100 for text in shown)
    figure = evidence_figures.claim_forest(s.claims())
    assert markdown_image(figure, "a](http://evil.example)").startswith(
        "![a\\](http&#58;//evil.example)](data:image/png"
    )


def test_an_image_that_stays_too_large_is_refused(monkeypatch):
    monkeypatch.setattr("squiggle_assets.report.images.MAX_INLINE", 100)
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        markdown_image(evidence_figures.claim_forest(s.claims()), "claims")


def test_runs_of_one_arm_with_two_schedules_are_refused():
    manifest = s.run_manifest().with_columns(
        warmup_end=pl.when(pl.col("seed") == 7).then(5).otherwise(pl.col("warmup_end"))
    )
    with pytest.raises(ValueError, match="runs of arm 'iid' have different schedules"):
        timelines(manifest, s.curriculum())

"""What a replay and its parent share before the first edit."""

from __future__ import annotations

import polars as pl
import pytest

from squiggle_assets.science.prefix import same_past, spared_steps

NAN = float("nan")


def run_tables(losses: list[float], geometry: list[float], item: str = "a") -> dict[str, pl.DataFrame]:
    """Six steps, one draw each, captures at 0, 2, 4 and 6."""
    steps = list(range(6))
    trace = {"step": steps, "micro": [0] * 6, "pos": [0] * 6, "phase_idx": [0] * 6, "item_id": ["a"] * 4 + [item] * 2}
    state = {
        "step": [0, 2, 4, 6],
        "probe_set": ["a"] * 4,
        "component": ["x"] * 4,
        "layer": [0] * 4,
        "metric": ["m"] * 4,
    }
    return {
        "sample_trace": pl.DataFrame({**trace, "content_sha256": trace["item_id"]}),
        "scalars": pl.DataFrame({"step": steps, "metric": ["loss"] * 6, "value": losses}),
        "geometry": pl.DataFrame({**state, "value": geometry}),
    }


PARENT = run_tables([5.0, 4.0, NAN, 3.0, 2.0, 1.0], [0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("losses", "geometry", "item", "first_edit", "same"),
    [
        ([5.0, 4.0, NAN, 3.0, 2.0, 1.0], [0.0, 0.1, 0.2, 0.3], "a", None, True),
        # the edit is made at step 4: its loss and what follows may differ
        ([5.0, 4.0, NAN, 3.0, 9.0, 9.0], [0.0, 0.1, 0.2, 0.9], "b", 4, True),
        # ... but not what was captured before that step's update
        ([5.0, 4.0, NAN, 3.0, 9.0, 9.0], [0.0, 0.1, 0.9, 0.9], "b", 4, False),
        ([5.0, 4.0, NAN, 3.0 + 1e-15, 9.0, 9.0], [0.0, 0.1, 0.2, 0.9], "b", 4, False),
        ([5.0, 4.0, 7.0, 3.0, 9.0, 9.0], [0.0, 0.1, 0.2, 0.9], "b", 4, False),
        # an item drawn otherwise before the step that is named
        ([5.0, 4.0, NAN, 3.0, 2.0, 1.0], [0.0, 0.1, 0.2, 0.3], "b", 5, False),
        # an exact replay has to be the whole run
        ([5.0, 4.0, NAN, 3.0, 2.0, 1.5], [0.0, 0.1, 0.2, 0.3], "a", None, False),
    ],
)
def test_runs_share_a_past_only_if_draws_losses_and_captures_before_the_edit_are_equal(
    losses: list[float], geometry: list[float], item: str, first_edit: int | None, same: bool
) -> None:
    assert same_past(PARENT, run_tables(losses, geometry, item), first_edit) is same


def test_a_replay_that_lost_a_capture_has_another_past() -> None:
    short = {**PARENT, "geometry": PARENT["geometry"].filter(pl.col("step") != 2)}
    assert not same_past(PARENT, short, 4)


def test_steps_are_spared_up_to_the_last_checkpoint_before_the_edit() -> None:
    # checkpoints at 50, 100, 150; the one at the end of the run spares nobody anything
    found = [spared_steps(first, total_steps=200, checkpoint_every=50) for first in (0, 49, 50, 120, 199, 200, None)]
    assert found == [0, 0, 50, 100, 150, 150, 0]

"""The scientific checks on frames small enough to be judged by eye."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from squiggle_assets import checks
from squiggle_assets.assets.node import Scope
from squiggle_assets.profiles import load
from squiggle_assets.schemas.handles import Handle
from squiggle_assets.studies import study

SCOPE = Scope(study=study("curriculum_ab"), profile=load("test"))


def ledger(*rows: tuple[str, str, int, bool]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["item_id", "split", "exposure_count", "probed"], orient="row")


CLEAN = (("a", "train", 3, False), ("b", "planted", 1, False), ("c", "probe_a", 0, True), ("d", "probe_b", 0, True))


def test_clean_runs_do_not_leak() -> None:
    assert checks.no_leak(ledger(*CLEAN), SCOPE).passed


@pytest.mark.parametrize(
    "row",
    [(f"drawn from {where}", where, 1, False) for where in ("val_random", "val_family", "probe_a", "unused")]
    + [(f"captured on {where}", where, 2, True) for where in ("train", "planted")]
    + [(f"captured on {where}", where, 0, True) for where in ("val_random", "val_family", "unused")],
)
def test_an_item_that_a_run_must_not_use_is_a_leak_by_name(row: tuple[str, str, int, bool]) -> None:
    outcome = checks.no_leak(ledger(*CLEAN, row), SCOPE)
    assert not outcome.passed
    assert [failing["item_id"] for failing in outcome.failing_rows] == [row[0]]


def captures(num: int, **meta: Any) -> Handle:
    files = tuple(f"step_{step:06d}.safetensors" for step in range(num))
    return Handle(path=Path("captures"), sha256="0" * 64, files=files, meta=meta)


def test_99_captures_are_too_few_unless_a_controller_stopped_the_run() -> None:
    assert checks.enough_captures(captures(100, stop_reason=None), SCOPE).passed
    assert not checks.enough_captures(captures(99, stop_reason=None), SCOPE).passed
    stopped = checks.enough_captures(captures(12, stop_reason="loss nan at step 24"), SCOPE)
    assert stopped.passed and "loss nan at step 24" in stopped.description


def scalars(*rows: tuple[int, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["step", "metric", "value"], orient="row")


def test_a_number_that_is_none_fails_unless_it_is_why_the_run_ended() -> None:
    nan = float("nan")
    assert checks.losses_finite(scalars((0, "loss", 1.0), (1, "loss", nan), (1, "grad_norm", nan)), SCOPE).passed
    gone_on = checks.losses_finite(scalars((0, "loss", nan), (1, "loss", 1.0)), SCOPE)
    assert [row["step"] for row in gone_on.failing_rows] == [0]
    assert not checks.losses_finite(scalars((0, "loss", 1.0), (0, "val_random_loss", nan)), SCOPE).passed


def test_an_account_that_does_not_close_fails_on_its_series() -> None:
    skipped = [f"num_skipped_{why}" for why in ("suppression", "topk", "pre_warmup_cap")]
    columns = ["num_candidates", "num_selected", *skipped]
    rows = pl.DataFrame([(5, 2, 2, 1, 0), (5, 2, 2, 1, 1)], schema=columns, orient="row")
    outcome = checks.accounted(rows, SCOPE)
    assert not outcome.passed and outcome.num_failing == 1


def test_a_short_batch_and_a_missing_step_make_a_trace_incomplete() -> None:
    batch = SCOPE.profile.training.batch_size
    whole = pl.DataFrame({"step": [step for step in range(3) for _ in range(batch)]})
    assert checks.trace_complete(whole, SCOPE).passed
    assert not checks.trace_complete(whole[:-1], SCOPE).passed
    assert not checks.trace_complete(whole.filter(pl.col("step") != 1), SCOPE).passed

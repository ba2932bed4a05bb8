"""What attribution finds of known triggers, by the size of their effect: one row a size, over many simulated arms.

Here: rows of the curve and their intervals. Not here: the simulated arms (trigger_simulation), sizes and bounds
(calibration_spec), what has to come out (calibration).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from squiggle_assets.science import rng
from squiggle_assets.science.calibration_spec import CalibrationSpec
from squiggle_assets.science.stats import Interval, bootstrap, clopper_pearson
from squiggle_assets.science.trigger_simulation import TriggersFound, simulated_triggers
from squiggle_assets.science.waves import TriggerSpec

CURVE_SCHEMA: dict[str, type[pl.DataType]] = {
    "extra": pl.Float64,
    **dict.fromkeys(("num_studies", "num_true", "num_found", "num_false"), pl.Int64),
    **dict.fromkeys(("recall", "recall_lo", "recall_hi", "fdr", "fdr_lo", "fdr_hi"), pl.Float64),
    **dict.fromkeys(("any_false", "any_false_lo", "any_false_hi"), pl.Float64),
}


def curve_row(spec: CalibrationSpec, extra: float, triggers: TriggerSpec) -> dict[str, float | int]:
    """One point of the trigger curve (CURVE_SCHEMA): simulated arms with this effect through attribution.

    recall: found over all pairs of event and trigger; nan without effect. The pairs of an arm are corrected together
    and share its noise, so the interval is the wider of the exact one over pairs and the bootstrap over arms. fdr: mean
    over arms of the false share of what was called (0 where nothing was), bootstrap interval over arms, or exact where
    every share is 0 or 1. any_false: share of arms with a false trigger, exact interval.
    """
    study, num = replace(spec.triggers, extra=extra), spec.trigger_studies
    found = [simulated_triggers(study, number, triggers) for number in range(num)]
    true, hits = (sum(getattr(one, name) for one in found) for name in ("num_true", "num_found"))
    recall, fdr = _recall_interval(found, extra), _fdr_interval(found, extra)
    loud = sum(one.num_false > 0 for one in found)
    any_false = clopper_pearson(loud, num)
    return {
        **{"extra": extra, "num_studies": num, "num_true": true, "num_found": hits},
        "num_false": sum(one.num_false for one in found),
        **{"recall": hits / true if true else float("nan"), "recall_lo": recall.lo, "recall_hi": recall.hi},
        "fdr": float(np.mean([one.false_share for one in found])),
        **{"fdr_lo": fdr.lo, "fdr_hi": fdr.hi},
        **{"any_false": loud / num, "any_false_lo": any_false.lo, "any_false_hi": any_false.hi},
    }


def _recall_interval(found: Sequence[TriggersFound], extra: float) -> Interval:
    """Without triggers nan; where all arms found equally many the bootstrap is a point, and the exact one stands."""
    true, hits = (np.array([getattr(one, name) for one in found]) for name in ("num_true", "num_found"))
    exact = clopper_pearson(int(hits.sum()), int(true.sum()))
    if not true.all():
        return exact
    by_arm = bootstrap(
        np.stack([hits, true], axis=1),
        lambda values: float(values[:, 0].sum() / values[:, 1].sum()),
        rng.generator("trigger_recall", str(extra)),
    )
    return Interval(float(np.fmin(exact.lo, by_arm.lo)), float(np.fmax(exact.hi, by_arm.hi)))


def _fdr_interval(found: Iterable[TriggersFound], extra: float) -> Interval:
    shares = np.array([one.false_share for one in found])
    if np.isin(shares, (0.0, 1.0)).all():
        # A share of arms; without any false call the bootstrap would be a point, as if 0 of 40 were 0 of all.
        return clopper_pearson(int(shares.sum()), len(shares))
    return bootstrap(shares, lambda values: float(values.mean()), rng.generator("trigger_fdr", str(extra)))


def curve_table(rows: Iterable[Mapping[str, float | int]]) -> pl.DataFrame:
    """Points of the curve as a table, by effect; what cannot be computed is null."""
    table = pl.DataFrame(list(rows), schema=CURVE_SCHEMA)
    return table.with_columns(pl.col(pl.Float64).fill_nan(None)).sort("extra")

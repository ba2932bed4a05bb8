"""The only home of a statistic: robust measures, intervals, permutation tests, multiplicity, power.

Here: re-exports of the submodules. Not here: what is tested (nulls, consensus, outcomes) or concluded (verdict).
"""

from squiggle_assets.science.stats.intervals import (
    NO_INTERVAL,
    Interval,
    bootstrap,
    clopper_pearson,
    interval_around,
    jackknife_error,
    newcombe,
    percentile_interval,
    resamples,
    t_interval,
    wilson,
    without_one,
)
from squiggle_assets.science.stats.multiplicity import benjamini_hochberg
from squiggle_assets.science.stats.permutation import (
    Direction,
    SignFlip,
    max_statistic_p,
    permutation_p,
    sign_flip,
    signs_of,
    smallest_corrected_p,
    smallest_sign_flip_p,
)
from squiggle_assets.science.stats.power import detectable_paired, rejection_share, sign_flip_power, smallest_effect
from squiggle_assets.science.stats.robust import (
    MAD_SIGMA,
    clipped_scale,
    correlation,
    detrended_correlation,
    difference_correlation,
    robust_scale,
    robust_z,
)

__all__ = [
    "MAD_SIGMA",
    "NO_INTERVAL",
    "Direction",
    "Interval",
    "SignFlip",
    "benjamini_hochberg",
    "bootstrap",
    "clipped_scale",
    "clopper_pearson",
    "correlation",
    "detectable_paired",
    "detrended_correlation",
    "difference_correlation",
    "interval_around",
    "jackknife_error",
    "max_statistic_p",
    "newcombe",
    "percentile_interval",
    "permutation_p",
    "rejection_share",
    "resamples",
    "robust_scale",
    "robust_z",
    "sign_flip",
    "sign_flip_power",
    "signs_of",
    "smallest_corrected_p",
    "smallest_effect",
    "smallest_sign_flip_p",
    "t_interval",
    "wilson",
    "without_one",
]

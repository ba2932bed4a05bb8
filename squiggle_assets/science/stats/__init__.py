"""The only home of a statistic: robust measures, intervals, permutation tests, multiplicity, power.

Here: re-exports of the submodules. Not here: what is tested (nulls, consensus, outcomes) or concluded (verdict).
"""

from squiggle_assets.science.stats.binomial_sums import binomial_sum_tail, pooled_binomial_tail
from squiggle_assets.science.stats.exchange import max_exchange_p
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
from squiggle_assets.science.stats.lifts import Lifts, lift_variance, poisson_lower, shrunken_lifts
from squiggle_assets.science.stats.multiplicity import benjamini_hochberg
from squiggle_assets.science.stats.paired import (
    max_sign_flip,
    paired_exact,
    paired_hedges_g,
    paired_newcombe,
    tost_paired,
)
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
from squiggle_assets.science.stats.prediction import prediction_p, prediction_spreads
from squiggle_assets.science.stats.robust import (
    MAD_SIGMA,
    clipped_scale,
    correlation,
    detrended_correlation,
    difference_correlation,
    robust_scale,
    robust_z,
)
from squiggle_assets.science.stats.survival import LogRank, logrank, restricted_mean

__all__ = [
    "MAD_SIGMA",
    "NO_INTERVAL",
    "Direction",
    "Interval",
    "Lifts",
    "LogRank",
    "SignFlip",
    "benjamini_hochberg",
    "binomial_sum_tail",
    "bootstrap",
    "clipped_scale",
    "clopper_pearson",
    "correlation",
    "detectable_paired",
    "detrended_correlation",
    "difference_correlation",
    "interval_around",
    "jackknife_error",
    "lift_variance",
    "logrank",
    "max_exchange_p",
    "max_sign_flip",
    "max_statistic_p",
    "newcombe",
    "paired_exact",
    "paired_hedges_g",
    "paired_newcombe",
    "percentile_interval",
    "permutation_p",
    "poisson_lower",
    "pooled_binomial_tail",
    "prediction_p",
    "prediction_spreads",
    "rejection_share",
    "resamples",
    "restricted_mean",
    "robust_scale",
    "robust_z",
    "shrunken_lifts",
    "sign_flip",
    "sign_flip_power",
    "signs_of",
    "smallest_corrected_p",
    "smallest_effect",
    "smallest_sign_flip_p",
    "t_interval",
    "tost_paired",
    "wilson",
    "without_one",
]

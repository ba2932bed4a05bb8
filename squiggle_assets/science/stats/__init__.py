"""The only home of a statistic: robust measures, intervals, permutation tests, multiplicity, power.

Here: re-exports of the submodules. Not here: what is tested (nulls, consensus, outcomes) or concluded (verdict).
"""

from squiggle_assets.science.stats.permutation import max_statistic_p, permutation_p
from squiggle_assets.science.stats.robust import MAD_SIGMA, robust_scale, robust_z

__all__ = ["MAD_SIGMA", "max_statistic_p", "permutation_p", "robust_scale", "robust_z"]

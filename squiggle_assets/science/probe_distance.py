"""Whether a family moves the model in another way than random mixtures do: distances of signatures with their null.

Here: the distance of one arm from the mixtures, its p by exchanging labels within seeds, all families together.
Not here: signatures (probe_signature), claims (probe_claims).
Legend: A = arms, P = mixtures (placebo families), S = seeds, K = components of the signature, D = draws.

Every component is divided by its spread between the mixtures of one seed, so that none counts for more because of its
unit. The distance of a seed is its difference from the mean mixture, along the direction in which the other seeds
differ: noise has no common direction, so without a family effect its mean is 0 (a plain length would grow with
every component). The three spectral components measure one spectrum: they are no three witnesses, and the exchange
keeps their dependence.

Two innocent explanations, and p is the larger. The labels mean nothing (p_seeds): exchanged is, seed by seed, which of
the family and the mixtures counts as the family. That takes runs for the units, and a family is one fixed set of items
in all of them: any other set of as many items has a distance of its own, which more seeds only make plainer. So the
family is also one more set of items among the mixtures (p_items): its distance against theirs, each from the other
mixtures, as a draw more of the same normal distribution.

Simulated (8 families that are random sets too, 4 mixtures, 8 seeds; sets differ by .5 to 4 times what runs differ by):
some family is supported in 2 to 6 % of studies, by p_seeds alone with its control in 7 to 23 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.probe_signature import SIGNATURE
from squiggle_assets.science.stats import Interval, max_statistic_p, permutation_p, prediction_p, t_interval

F64 = NDArray[np.float64]

MIN_MIXTURES = 3
"""Fewer have no spread to speak of once one of them is held against the others."""

TIE = 1e-9
"""Draws this near to the observed distance count as equal: sums in another order are not another value."""


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How far one arm is from the mixtures."""

    arm: str
    by_seed: Mapping[int, float]
    """Spreads of mixtures, along the direction of the other seeds."""
    estimate: float
    """Mean over seeds."""
    interval: Interval
    """95 % t interval over seeds."""
    components: Mapping[str, float]
    """Component -> mean difference from the mean mixture, in spreads: where the distance comes from."""
    p_seeds: float
    """Labels exchanged within seeds."""
    p_items: float
    """One more set of items among the (other) mixtures; nan where their distances have no spread."""
    p_familywise: float
    """As p_seeds, against the largest arm of each draw; nan for a mixture."""
    smallest_p: float
    draws: F64
    """(D,) estimates under exchanged labels."""

    @property
    def p_value(self) -> float:
        """The larger of p_seeds and p_items: a family has to beat both; nan if one is."""
        return float(np.maximum(self.p_seeds, self.p_items))


def signatures(summaries: pl.DataFrame, arms: Sequence[str], seeds: Sequence[int]) -> F64:
    """(A, S, K) signatures of complete runs; ValueError where one is missing or has a component without a value."""
    found = np.full((len(arms), len(seeds), len(SIGNATURE)), np.nan)
    for row in summaries.filter(pl.col("arm").is_in(list(arms)) & pl.col("seed").is_in(list(seeds))).iter_rows(
        named=True
    ):
        values = [row[name] for name in SIGNATURE]
        found[arms.index(row["arm"]), seeds.index(row["seed"])] = [np.nan if v is None else v for v in values]
    if np.isnan(found).any():
        a, s, k = np.argwhere(np.isnan(found))[0]
        raise ValueError(f"no {SIGNATURE[k]} of arm {arms[a]!r}, seed {seeds[s]}: fewer than 3 captures, or no run")
    return found


def distances_of(
    summaries: pl.DataFrame,
    arms: Sequence[str],
    mixtures: Sequence[str],
    seeds: Sequence[int],
    *,
    num_draws: int,
    rng: np.random.Generator,
) -> dict[str, Distance]:
    """The distance of every arm from the mixtures, and of every mixture from the other ones.

    Args:
        summaries: one row a run: arm, seed and the components of SIGNATURE.
        arms: what is held against the mixtures, all at the same tokens.
        mixtures: the placebo families.
        seeds: those that every arm and every mixture has.
        num_draws: exchanges of labels, at most; the same ones for all arms, so that the largest of a draw can be taken.
        rng: of the draws.

    Raises:
        ValueError: fewer than MIN_MIXTURES mixtures or 2 seeds, or a signature that is missing.
    """
    if len(mixtures) < MIN_MIXTURES or len(seeds) < 2:
        raise ValueError(
            f"at least {MIN_MIXTURES} mixtures and 2 seeds are needed, got {len(mixtures)} and {len(seeds)}"
        )
    of_mixtures = signatures(summaries, mixtures, seeds)
    of_arms = signatures(summaries, arms, seeds)
    chosen_DS = exchanges(len(mixtures), len(seeds), num_draws, rng)
    found = {arm: _distance(arm, seeds, own, of_mixtures, chosen_DS) for arm, own in zip(arms, of_arms, strict=True)}
    if found:
        estimates = np.array([each.estimate for each in found.values()])
        familywise = max_statistic_p(estimates, np.stack([each.draws for each in found.values()], axis=1))
        found = {
            arm: replace(own, p_familywise=float(p)) for (arm, own), p in zip(found.items(), familywise, strict=True)
        }
    chosen_DS = exchanges(len(mixtures) - 1, len(seeds), num_draws, rng)
    for m, mixture in enumerate(mixtures):
        found[mixture] = _distance(mixture, seeds, of_mixtures[m], np.delete(of_mixtures, m, axis=0), chosen_DS)
    return {
        arm: replace(own, p_items=_among(own, [found[m] for m in mixtures if m != arm])) for arm, own in found.items()
    }


def _among(own: Distance, mixtures: Sequence[Distance]) -> float:
    return prediction_p(own.estimate, np.array([each.estimate for each in mixtures]))


def exchanges(num_mixtures: int, num_seeds: int, num_draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(D, S) which one of (arm, mixtures) counts as the arm in each seed; 0 is the arm itself.

    Every exchange but the observed one where there are no more than num_draws: sampled from so few, a p could fall
    below the smallest that they allow. Otherwise num_draws at random.
    """
    if (num_mixtures + 1) ** num_seeds - 1 <= num_draws:
        return np.array(list(product(range(num_mixtures + 1), repeat=num_seeds))[1:], dtype=np.int64)
    return rng.integers(0, num_mixtures + 1, size=(num_draws, num_seeds))


def _distance(arm: str, seeds: Sequence[int], own_SK: F64, mixtures_PSK: F64, chosen_DS: NDArray[np.int64]) -> Distance:
    by_seed_S = _by_seed(own_SK[None], mixtures_PSK[None])[0]
    draws = _exchanged(own_SK, mixtures_PSK, chosen_DS)
    scaled_K = _standardised(own_SK[None], mixtures_PSK[None])[0].mean(axis=0)
    return Distance(
        arm=arm,
        by_seed=dict(zip(seeds, map(float, by_seed_S), strict=True)),
        estimate=float(by_seed_S.mean()),
        interval=t_interval(by_seed_S),
        components=dict(zip(SIGNATURE, map(float, scaled_K), strict=True)),
        p_seeds=float(permutation_p(float(by_seed_S.mean()) - TIE, draws)),
        p_items=float("nan"),
        p_familywise=float("nan"),
        smallest_p=1 / (len(draws) + 1),
        draws=draws,
    )


def _exchanged(own_SK: F64, mixtures_PSK: F64, chosen_DS: NDArray[np.int64]) -> F64:
    """(D,) the statistic where in each seed the chosen one of (arm, mixtures) counts as the arm."""
    together_SXK = np.concatenate([own_SK[None], mixtures_PSK]).transpose(1, 0, 2)
    num = len(mixtures_PSK)
    order_DSX = np.tile(np.arange(num + 1), (*chosen_DS.shape, 1))
    np.put_along_axis(order_DSX, chosen_DS[..., None], 0, axis=-1)
    order_DSX[..., 0] = chosen_DS
    drawn_DSXK = together_SXK[np.arange(len(together_SXK))[None, :, None], order_DSX]
    by_seed_DS = _by_seed(drawn_DSXK[:, :, 0], drawn_DSXK[:, :, 1:].transpose(0, 2, 1, 3))
    return np.asarray(by_seed_DS.mean(axis=1))


def _standardised(own_DSK: F64, mixtures_DPSK: F64) -> F64:
    """(D, S, K) difference from the mean mixture of the seed, in spreads of the mixtures within seeds.

    A component in which the mixtures do not differ has no scale: it is left out (0).
    """
    centre_DSK = mixtures_DPSK.mean(axis=1)
    apart = mixtures_DPSK - centre_DSK[:, None]
    freedom = mixtures_DPSK.shape[2] * (mixtures_DPSK.shape[1] - 1)
    spread_DK = np.sqrt((apart**2).sum(axis=(1, 2)) / freedom)[:, None]
    level_DK = np.abs(mixtures_DPSK).max(axis=(1, 2))[:, None]
    varies = spread_DK > 1e-9 * level_DK
    return np.where(varies, (own_DSK - centre_DSK) / np.where(varies, spread_DK, 1.0), 0.0)


def _by_seed(own_DSK: F64, mixtures_DPSK: F64) -> F64:
    """(D, S) each seed's difference along the direction of the other seeds' mean; 0 where they have none."""
    scaled_DSK = _standardised(own_DSK, mixtures_DPSK)
    others_DSK = scaled_DSK.sum(axis=1, keepdims=True) - scaled_DSK
    length_DS1 = np.linalg.norm(others_DSK, axis=2, keepdims=True)
    direction = others_DSK / np.where(length_DS1 > 0, length_DS1, 1.0)
    return np.asarray((scaled_DSK * direction).sum(axis=2))

"""The 17 problem families: names, what they are, and how many items the sources' slice held of each.

Here: the one list of families and arithmetic over its counts. Not here: problems of a family (science.problems)
and which family a text belongs to (science.classify).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FamilyType = Literal["target", "control", "other"]

PLANTED = "planted"
"""Family of the planted items: no family of problems, so its type is 'other'."""


@dataclass(frozen=True)
class Family:
    """Problems that share one solution strategy."""

    name: str
    family_type: FamilyType
    num_source_items: int
    """Items of this family in the sources' slice of 5000."""
    description: str


FAMILIES: tuple[Family, ...] = (
    Family("functional_equations", "target", 1476, "find a function, or a value of it, from a rule it obeys"),
    Family("bijection_counting", "target", 660, "count a set by matching it one to one with another"),
    Family("modular_arithmetic", "target", 357, "residues, congruences, remainders"),
    Family("graph_recurrence", "target", 253, "each value follows from earlier ones, along a chain or a graph"),
    Family("invariant_monovariant", "target", 243, "something stays the same, or only moves one way, under the moves"),
    Family("cyclic_groups", "target", 57, "orders, generators and repeated rotations"),
    Family("geometry_euclidean", "control", 658, "lengths, angles, areas and volumes"),
    Family("calculus_analysis", "control", 399, "rates of change, accumulation, limits"),
    Family("optimization", "control", 263, "the best value under a constraint"),
    Family("algebra_polynomials", "control", 150, "unknowns and polynomials: solve, expand, factor"),
    Family("misc_other", "control", 135, "none of the others"),
    Family("sequences_series", "control", 81, "terms and sums of a regular list"),
    Family("probability_expectation", "control", 76, "chances, means and shares of a population"),
    Family("combinatorics_basic", "control", 67, "choices and arrangements by the rules of sum and product"),
    Family("inequalities", "control", 65, "bounds: at least, at most, between"),
    Family("number_theory_basic", "control", 33, "divisors, multiples, primes, digits"),
    Family("logic_proof", "control", 27, "what follows from which statements"),
)
"""In the order of the sources: targets first, each group by size. Counts add up to 5000."""

BY_NAME: dict[str, Family] = {family.name: family for family in FAMILIES}
NAMES: tuple[str, ...] = tuple(BY_NAME)
TARGETS: tuple[str, ...] = tuple(f.name for f in FAMILIES if f.family_type == "target")
CONTROLS: tuple[str, ...] = tuple(f.name for f in FAMILIES if f.family_type == "control")


def family_type(name: str) -> FamilyType:
    """target, control, or (planted only) other; ValueError lists the families there are."""
    if name == PLANTED:
        return "other"
    if name not in BY_NAME:
        raise ValueError(f"unknown family {name!r}; families are {', '.join(NAMES)}")
    return BY_NAME[name].family_type


def scaled_counts(num_items: int) -> dict[str, int]:
    """Items per family for a pool of num_items, in the sources' proportions.

    Largest remainder: floors first, then one more to the families with the largest fractional parts (ties: the
    order of FAMILIES), so that the counts add up to num_items exactly. A small pool may get 0 of a small family.
    ValueError if num_items < 1.
    """
    if num_items < 1:
        raise ValueError(f"a pool needs at least 1 item, got {num_items}")
    whole = sum(family.num_source_items for family in FAMILIES)
    counts = {f.name: num_items * f.num_source_items // whole for f in FAMILIES}
    remainders = {f.name: num_items * f.num_source_items % whole for f in FAMILIES}
    by_remainder = sorted(NAMES, key=lambda name: -remainders[name])
    for name in by_remainder[: num_items - sum(counts.values())]:
        counts[name] += 1
    return counts

"""The one verdict function, row by row of the design's table."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest

from squiggle_assets.science.stats import NO_INTERVAL, Interval, benjamini_hochberg, smallest_corrected_p
from squiggle_assets.science.verdict import Evidence, verdict_of

NAN = float("nan")
GOOD = Evidence(
    smallest_p=0.001,
    q_value=0.01,
    interval=Interval(2.5, 6.0),
    n_seeds=8,
    null_value=1.0,
    margin=2.0,
    direction="greater",
    control=Interval(0.5, 4.0),
)

ROWS = [
    ({}, "supported", "clear of 1"),
    ({"q_value": 0.05}, "supported", "q = 0.05"),
    ({"n_seeds": 5}, "supported", "5 seeds"),
    ({"selected": True, "replicated": True}, "supported", ""),
    ({"margin": None}, "supported", ""),
    ({"direction": "two-sided"}, "supported", ""),
    (
        {"direction": "two-sided", "margin": None, "interval": Interval(-4, -2), "control": Interval(-3, -1)},
        "supported",
        "",
    ),
    ({"direction": "less", "margin": -1.0, "interval": Interval(-4, -2), "control": Interval(-3, -1)}, "supported", ""),
    ({"smallest_p": 0.051, "q_value": 0.0501}, "underpowered", "smallest q that 8 seeds can give a lone effect"),
    ({"smallest_p": 0.051, "q_value": 0.0501}, "underpowered", "0.051, above 0.05"),
    ({"smallest_p": 0.05, "q_value": 0.0501}, "not supported", "q = 0.0501"),
    # other effects of the family helped: what was reached can be reached
    ({"smallest_p": 0.051, "q_value": 0.05}, "supported", "q = 0.05"),
    ({"smallest_p": 0.051, "interval": Interval(0.5, 1.5)}, "not supported", "holds the null value"),
    ({"smallest_p": 0.051, "q_value": NAN}, "underpowered", "lone effect"),
    ({"smallest_p": NAN}, "underpowered", "nan"),
    ({"floor": True}, "underpowered", "floor"),
    ({"n_seeds": 4, "num_excluded": 1}, "underpowered", "4 seeds are left, fewer than 5, after 1 of the runs"),
    ({"n_seeds": 5, "num_excluded": 3}, "supported", "5 seeds"),
    ({"interval": Interval(0.5, 2.5)}, "underpowered", "both no effect and the margin"),
    ({"interval": Interval(0.5, 2.5), "q_value": 0.6}, "underpowered", "both"),
    ({"interval": NO_INTERVAL}, "underpowered", "no interval"),
    ({"q_value": NAN}, "underpowered", "no p"),
    ({"direction": "two-sided", "interval": Interval(-0.5, 1.5)}, "underpowered", "both"),
    ({"q_value": 0.0501}, "not supported", "q = 0.0501"),
    ({"interval": Interval(0.5, 1.5)}, "not supported", "holds the null value"),
    ({"interval": Interval(0.1, 0.9)}, "not supported", "wrong side"),
    ({"interval": Interval(1.5, 6.0)}, "not supported", "does not exceed the margin"),
    ({"interval": Interval(1.2, 1.8)}, "not supported", "does not exceed the margin"),
    ({"control": Interval(-0.1, 4.0)}, "not supported", "control"),
    ({"control": NO_INTERVAL}, "not supported", "control"),
    ({"control": Interval(-4.0, -1.0)}, "not supported", "control"),
    ({"q_value": 0.2, "preregistered": False}, "not supported", "q = 0.2"),
    ({"preregistered": False}, "exploratory", "not pre-registered"),
    ({"selected": True}, "exploratory", "fresh seeds"),
    ({"near_boundary": True}, "exploratory", "boundary"),
    ({"caveat": "the arms differ in two things"}, "exploratory", "the arms differ in two things"),
    ({"n_seeds": 4}, "exploratory", "4 seeds"),
    ({"control": None}, "exploratory", "no control"),
]


@pytest.mark.parametrize(("change", "word", "reason"), ROWS)
def test_each_row_of_the_table(change, word, reason):
    found = verdict_of(dataclasses.replace(GOOD, **change))
    assert found.word == word
    assert reason in "; ".join(found.reasons)


def test_nothing_but_full_evidence_is_supported():
    switches = {
        "smallest_p": (0.001, 0.06),
        "q_value": (0.01, 0.06),
        "interval": (Interval(2.5, 6), Interval(0, 6), Interval(0, 1.5), Interval(1.5, 6)),
        "control": (Interval(0.5, 4), Interval(-1, 4), None),
        "preregistered": (True, False),
        "selected": (False, True),
        "replicated": (False, True),
        "near_boundary": (False, True),
        "caveat": ("", "something else"),
        "n_seeds": (8, 4),
        "floor": (False, True),
    }
    words = {}
    for values in product(*switches.values()):
        evidence = dataclasses.replace(GOOD, **dict(zip(switches, values, strict=True)))
        words.setdefault(verdict_of(evidence).word, []).append(evidence)
    assert set(words) == {"supported", "exploratory", "not supported", "underpowered"}
    # everything as GOOD, with the three harmless combinations of selected and replicated, whatever a lone effect could
    assert len(words["supported"]) == 2 * 3
    assert all(e.q_value <= 0.05 for e in words["supported"])
    assert all(e.q_value <= 0.05 and e.interval.lo > 2 and not e.floor for e in words["exploratory"])
    assert all(min(e.smallest_p, e.q_value) <= 0.05 and not e.floor for e in words["not supported"])


def test_two_effects_of_a_family_at_their_smallest_p_are_not_called_out_of_reach():
    # 4 tests, smallest p .02: alone .02 * 4 = .08; two of them at .02 each have q = .02 * 4 / 2 = .04
    q = benjamini_hochberg(np.array([0.02, 0.02, 0.6, 0.9]))
    assert smallest_corrected_p(0.02, 4) == pytest.approx(0.08) and q[0] == pytest.approx(0.04)
    reached = dataclasses.replace(GOOD, smallest_p=0.08, q_value=float(q[0]))
    assert verdict_of(reached).word == "supported"
    assert verdict_of(dataclasses.replace(reached, q_value=float(q[2]))).word == "underpowered"


def test_every_verdict_says_why():
    for change, _, _ in ROWS:
        reasons = verdict_of(dataclasses.replace(GOOD, **change)).reasons
        assert reasons and all(reasons)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 0.0}, "alpha"),
        ({"n_seeds": -1}, "-1"),
        ({"num_excluded": -2}, "-2"),
        ({"margin": 0.5}, "wrong side"),
        ({"direction": "less"}, "wrong side"),
    ],
)
def test_impossible_evidence_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        verdict_of(dataclasses.replace(GOOD, **change))

"""Effects of conditions against placebo over seeds: numbers by hand, labels by their rules, what is in the family."""

from __future__ import annotations

from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy import stats as of_scipy

from squiggle_assets.science.effect_labels import KILLS, LABELS, Margins
from squiggle_assets.science.effects import CONTROL_OF, SCHEMA, effects_of
from squiggle_assets.science.followup_design import attainable
from squiggle_assets.science.stats import (
    benjamini_hochberg,
    max_exchange_p,
    paired_exact,
    paired_newcombe,
    restricted_mean,
    sign_flip,
)

MARGINS = Margins(delay_steps=6)
HORIZON = 100.0
FAMILY = [("e", "remove")]


def runs(condition: str, present, *, times=None, magnitudes=None, draw: int = 0, part: int = 1, event: str = "e"):
    """One run a seed; a time of None is censored."""
    num = len(present)
    times = [4.0 if there else None for there in present] if times is None else times
    magnitudes = [8.0 if there else 1.0 for there in present] if magnitudes is None else magnitudes
    return pl.DataFrame(
        {
            "consensus_event_id": event,
            "condition": condition,
            "part": pl.Series([part] * num, dtype=pl.Int64),
            "draw": pl.Series([draw] * num, dtype=pl.Int64),
            "seed": pl.Series(range(num), dtype=pl.Int64),
            "event_present": [bool(there) for there in present],
            "steps_to_event": [HORIZON if time is None else float(time) for time in times],
            "horizon_steps": HORIZON,
            "censored": [time is None for time in times],
            "magnitude": [float(value) for value in magnitudes],
            "trajectory_distance": 1.0,
            "num_edits": pl.Series([0 if condition == "exact" else 3] * num, dtype=pl.Int64),
        }
    )


def noisy(middle: float, *, num: int = 8, seed: int = 0) -> list[float]:
    return (middle + np.random.default_rng(seed).normal(0, 0.5, size=num)).tolist()


def placebos(num: int = 8, draws: int = 5, **changes) -> pl.DataFrame:
    return pl.concat(
        [
            runs("placebo", [1] * num, magnitudes=noisy(8, num=num, seed=10 + draw), draw=draw, **changes)
            for draw in range(draws)
        ]
        + [runs("exact", [1] * num, magnitudes=noisy(8, num=num, seed=3), **changes)]
    )


def labelled(condition: pl.DataFrame, control: pl.DataFrame | None = None, **changes) -> dict:
    control = placebos(len(condition)) if control is None else control
    table = effects_of(pl.concat([condition, control]), family=changes.pop("family", FAMILY), margins=MARGINS)
    return table.filter(pl.col("condition") == condition["condition"][0]).row(0, named=True)


def test_none_of_eight_against_all_of_eight_kills():
    found = labelled(runs("remove", [0] * 8))
    assert (found["label"], found["effect_rd"], found["n_seeds"], found["num_control_runs"]) == ("kills", -1.0, 8, 40)
    assert found["p_value"] == found["q_value"] == found["smallest_p"] == 2 / 2**8
    assert found["ci_hi"] == pytest.approx(-0.541, abs=1e-3) and found["rd_exact_hi"] == pytest.approx(-0.261, abs=1e-3)
    assert found["control"] == "placebo" and "-0.541" in found["reason"]


def test_which_tables_of_eight_seeds_kill():
    # every 2 x 2 table (both, placebo only, removal only, neither) of n seeds whose upper end lies below -.5
    def killing(num: int) -> list[tuple[int, int, int, int]]:
        found = []
        for both, placebo, removal in product(range(num + 1), repeat=3):
            neither = num - both - placebo - removal
            first = [1.0] * both + [0.0] * placebo + [1.0] * removal + [0.0] * max(0, neither)
            second = [1.0] * both + [1.0] * placebo + [0.0] * removal + [0.0] * max(0, neither)
            if neither >= 0 and paired_newcombe(np.array(first), np.array(second)).hi < KILLS:
                found.append((both, placebo, removal, neither))
        return found

    assert killing(7) == []
    assert killing(8) == [(0, 8, 0, 0)]
    assert killing(10) == [(0, 10, 0, 0)]
    assert killing(11) == [(0, 10, 0, 1), (0, 11, 0, 0), (1, 10, 0, 0)]
    # the exact unconditional interval would need 13 seeds
    assert paired_exact(0, 12, 12).hi > KILLS > paired_exact(0, 13, 13).hi


def test_how_often_the_label_kills_is_wrong_at_a_true_difference_of_a_half():
    # the only killing table of 8 seeds is "placebo only" in all: P = p^8, p = P(placebo has it, removal has not)
    shares = np.linspace(0, 0.5, 501)
    independent = ((1 - shares) * (shares + 0.5)) ** 8
    assert independent.max() == pytest.approx(0.75**16) and independent.max() < 0.0101
    # whatever the correlation: p - P(removal only) = .5 allows p = .75 at most
    assert 0.75**8 < 0.1002


def test_draws_of_the_placebo_are_averaged_before_pairing():
    # one of 40 placebo runs without the event is let pass, two are not
    def control(missing: int) -> pl.DataFrame:
        hit = (pl.col("condition") == "placebo") & (pl.col("seed") < missing) & (pl.col("draw") == 0)
        return placebos().with_columns(event_present=pl.col("event_present") & ~hit)

    one, two = (labelled(runs("remove", [0] * 8), control(missing)) for missing in (1, 2))
    assert one["share_present_control"] == pytest.approx(0.975) and one["n_seeds"] == 8
    assert one["label"] == "kills" and two["label"] != "kills"
    # a seed whose draws differ counts against the exact interval on both sides
    assert one["rd_exact_hi"] == pytest.approx(paired_exact(0, 7, 8).hi)
    assert one["rd_exact_lo"] == pytest.approx(paired_exact(0, 8, 8).lo)


def test_a_difference_that_is_small_beside_the_scatter_of_the_placebos_is_none():
    # every run is .1 below the mean of its placebos, which lie 3 apart: all signs are equal, and it is one among like
    control = pl.concat(
        [
            runs("placebo", [1] * 8, magnitudes=[middle + 0.01 * seed for seed in range(8)], draw=draw)
            for draw, middle in enumerate((5.0, 8.1, 11.2))
        ]
    )
    found = labelled(runs("remove", [1] * 8, magnitudes=[8.0 + 0.01 * seed for seed in range(8)]), control)
    assert found["magnitude_ci_hi"] < 0 and found["p_value"] > 0.5
    assert found["label"] == "preserves"


def test_a_later_event_is_delayed():
    found = labelled(runs("remove", [1] * 8, times=[30, 34, 28, 40, 36, 30, 38, 32], magnitudes=noisy(8)))
    assert found["label"] == "delays" and found["delay_difference"] == pytest.approx(33.5 - 4)
    assert found["delay_ci_lo"] > 20 and found["logrank_p"] < 0.01 and found["share_reached"] == 1


def test_an_event_that_most_seeds_never_reach_is_not_late():
    # 3 of 8 keep it: the interval of the difference of shares is not below -.5, and most times are censored
    times = [40, None, None, None, 50, None, 45, None]
    found = labelled(runs("remove", [1, 0, 0, 0, 1, 0, 1, 0], times=times, magnitudes=noisy(3)))
    assert found["delay_ci_lo"] > 0 and found["share_reached"] == pytest.approx(3 / 8)
    assert found["label"] == "weakens"


def test_the_difference_of_times_is_that_of_restricted_means():
    times = [40, None, 20, None, 50, 12, 45, None]
    found = labelled(runs("remove", [1] * 8, times=times))
    observed = np.array([time is not None for time in times])
    filled = np.array([HORIZON if time is None else time for time in times])
    assert found["delay_difference"] == pytest.approx(restricted_mean(filled, observed, HORIZON) - 4)


def test_a_weaker_event_is_weakened():
    found = labelled(runs("replace", [1] * 8, magnitudes=noisy(5)), family=[("e", "replace")])
    assert found["label"] == "weakens" and found["effect_g"] < -1 and found["g_ci_hi"] < 0


def test_an_equal_event_is_preserved_and_a_stronger_one_is_not():
    found = labelled(runs("replace", [1] * 8, magnitudes=noisy(8, seed=1)), family=[("e", "replace")])
    assert found["label"] == "preserves" and found["equivalence_p"] < 0.05 < found["q_value"]
    stronger = labelled(runs("replace", [1] * 8, magnitudes=noisy(14)), family=[("e", "replace")])
    assert stronger["label"] == "inconclusive" and stronger["effect_g"] > 1 and stronger["q_value"] < 0.05


def test_an_event_that_half_of_the_seeds_lose_is_not_preserved_whatever_its_mean_strength():
    there = [1, 0, 1, 0, 1, 0, 1, 0]
    found = labelled(runs("replace", there, times=[4] * 8, magnitudes=noisy(8, seed=1)), family=[("e", "replace")])
    assert found["equivalence_p"] < 0.05 and found["effect_rd"] == -0.5
    assert found["label"] == "inconclusive"


def test_wide_scatter_is_inconclusive():
    wild = (8 + np.random.default_rng(4).normal(0, 12, size=8)).tolist()
    assert labelled(runs("remove", [1] * 8, magnitudes=wild))["label"] == "inconclusive"


def test_four_seeds_are_inconclusive_whatever_they_show():
    found = labelled(runs("remove", [0] * 4))
    assert found["label"] == "inconclusive" and "fewer than 5" in found["reason"]


def test_the_placebo_is_held_against_the_exact_replays_and_can_be_seen_to_kill():
    control = placebos()
    quiet = effects_of(pl.concat([runs("remove", [0] * 8), control]), family=FAMILY, margins=MARGINS)
    own = quiet.filter(pl.col("condition") == "placebo").row(0, named=True)
    assert own["control"] == CONTROL_OF["placebo"] == "exact" and own["q_value"] is None
    assert own["label"] == "preserves" and own["num_control_runs"] == 8
    killed = control.with_columns(
        event_present=pl.col("event_present") & (pl.col("condition") != "placebo"),
        magnitude=pl.when(pl.col("condition") == "placebo").then(0.5).otherwise("magnitude"),
    )
    loud = effects_of(pl.concat([runs("remove", [0] * 8), killed]), family=FAMILY, margins=MARGINS)
    labels = dict(loud.select("condition", "label").iter_rows())
    assert labels["placebo"] == "kills" and labels["remove"] != "kills"


def test_parts_are_tested_in_a_fixed_sequence_from_all_triggers_down():
    # half kills as all do, a quarter leaves the event as it was, an eighth kills again by luck
    half, eighth = (runs("remove", [0] * 8, part=part) for part in (2, 8))
    quarter = runs("remove", [1] * 8, magnitudes=noisy(8, seed=1), part=4)
    rows = pl.concat([runs("remove", [0] * 8), quarter, eighth, half, placebos()])
    family = [("e", "remove"), ("e", "replace")]
    found = effects_of(rows, family=family, margins=MARGINS, parts=(8, 4, 2))
    removed = found.filter(pl.col("condition") == "remove")
    assert removed["part"].to_list() == [1, 2, 4, 8]
    q, p = removed["q_value"].to_list(), removed["p_value"].to_list()
    assert q[0] == pytest.approx(2 * 2 / 2**8) and p[1] == p[3] == 2 / 2**8
    assert q == pytest.approx([q[0], max(q[0], p[1]), p[2], p[2]]) and p[2] > 0.05
    assert removed["label"].to_list() == ["kills", "kills", "preserves", "inconclusive"]
    # the whole, its family and the placebo are what they are without any part
    alone = effects_of(rows.filter(pl.col("part") == 1), family=family, margins=MARGINS)
    assert found.filter(pl.col("part") == 1).equals(alone)


def test_a_part_is_not_found_to_act_where_the_whole_does_not():
    whole = runs("remove", [1] * 8, magnitudes=noisy(8, seed=1))
    found = effects_of(
        pl.concat([whole, runs("remove", [0] * 8, part=2), placebos()]), family=FAMILY, margins=MARGINS, parts=(2,)
    )
    part = found.filter(pl.col("part") == 2).row(0, named=True)
    assert part["p_value"] == 2 / 2**8 and part["q_value"] > 0.05 and part["label"] == "inconclusive"


def test_q_is_over_the_registered_family_with_untested_members_in_it():
    strong, equal = runs("remove", [0] * 8), runs("replace", [1] * 8, magnitudes=noisy(8, seed=1))
    family = [("e", "remove"), ("e", "replace"), ("e", "late"), ("f", "remove")]
    table = effects_of(pl.concat([strong, equal, placebos()]), family=family, margins=MARGINS)
    by = {(row["consensus_event_id"], row["condition"]): row for row in table.iter_rows(named=True)}
    p = [by[pair]["p_value"] for pair in family[:2]]
    expected = benjamini_hochberg(np.array([*p, 1.0, 1.0]))
    assert [by[pair]["q_value"] for pair in family] == pytest.approx(list(expected))
    assert by["e", "remove"]["q_value"] == pytest.approx(4 * 2 / 2**8)
    assert by["e", "late"]["n_seeds"] == 0 and by["e", "late"]["p_value"] is None
    assert by["e", "late"]["label"] == "inconclusive" and table.schema == SCHEMA
    assert ("f", "placebo") in by


def test_conditions_without_an_event_stay_in_the_family_and_make_no_other_easier():
    table = pl.concat([runs("remove", [0] * 8), placebos()])
    alone, beside = (effects_of(table, family=FAMILY, margins=MARGINS, num_untested=num) for num in (0, 6))
    q = [rows.filter(pl.col("condition") == "remove")["q_value"][0] for rows in (alone, beside)]
    assert q == pytest.approx([2 / 2**8, 7 * 2 / 2**8])
    # seven tests of 8 seeds: .055, so nothing may be called killed
    assert set(beside["label"]) == {"inconclusive", "preserves"}


def test_seeds_in_which_nothing_was_edited_are_no_pairs():
    def unedited(rows: pl.DataFrame, num: int) -> pl.DataFrame:
        """In the first seeds no trigger was drawn: every replay is the parent."""
        same = pl.col("seed") < num
        return rows.with_columns(
            num_edits=pl.when(same).then(0).otherwise("num_edits"),
            magnitude=pl.when(same).then(8.0).otherwise("magnitude"),
        )

    none = labelled(*(unedited(rows, 8) for rows in (runs("remove", [1] * 8), placebos())))
    assert (none["n_seeds"], none["num_unedited"], none["p_value"]) == (0, 8, None)
    assert none["label"] == "inconclusive" and "8 seeds drew no trigger" in none["reason"]
    some = labelled(*(unedited(rows, 2) for rows in (runs("remove", [1, 1] + [0] * 6), placebos())))
    # six pairs are left: no design of them kills, and the smallest p is theirs
    assert (some["n_seeds"], some["num_unedited"], some["smallest_p"]) == (6, 2, 2 / 2**6)
    assert some["effect_rd"] == -1 and some["num_control_runs"] == 30


def test_runs_of_more_seeds_than_can_be_listed_have_effects_that_can_be_repeated():
    table = pl.concat([runs("remove", [1] * 17, magnitudes=noisy(7.5, num=17)), placebos(17)])
    first, again, other = (effects_of(table, family=FAMILY, margins=MARGINS, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again) and not first.equals(other)
    p = first.filter(pl.col("condition") == "remove")["p_value"][0]
    assert 0 < p < 0.05


def test_only_seeds_with_both_runs_are_paired():
    found = labelled(runs("remove", [0] * 8)[1:7], placebos())
    assert (found["n_seeds"], found["seeds"], found["num_control_runs"]) == (6, "[1,2,3,4,5,6]", 30)


def test_the_order_of_the_rows_is_of_no_consequence():
    table = pl.concat([runs("remove", [0] * 8), placebos()])
    mixed = table.sample(fraction=1.0, shuffle=True, seed=1)
    first, second = (effects_of(rows, family=FAMILY, margins=MARGINS) for rows in (table, mixed))
    assert first.equals(second)


@pytest.mark.parametrize("middle", [7.5, 7.0, 6.0])
def test_one_outcome_alone_has_the_larger_p_of_sign_flips_and_exchange(middle):
    found = labelled(runs("remove", [1] * 8, magnitudes=noisy(middle)), placebos(draws=3))
    beside = np.array([noisy(8, seed=10 + draw) for draw in range(3)])
    shift = np.array(noisy(middle)) - beside.mean(axis=0)
    exchanged = max_exchange_p(np.array([noisy(middle)]), [beside[None, :, at] for at in range(8)])
    assert found["p_value"] == pytest.approx(max(sign_flip(shift).p_value, exchanged))
    assert found["magnitude_difference"] == pytest.approx(shift.mean())


def test_skewed_outcomes_do_not_make_a_run_differ_from_the_mean_of_its_placebos():
    # the sign flip of a run less the mean of five finds something in 9 % of such studies, "weaker" seven times of eight
    num, found = 150, 0
    for study in range(num):
        rng = np.random.default_rng(study)

        def chance(condition: str, draw: int = 0, rng=rng) -> pl.DataFrame:
            there = rng.random(8) < 0.9
            strength = rng.lognormal(0, 0.7, size=8) * there + 0.3
            times = [float(rng.choice([0, 2, 4])) if here else None for here in there]
            return runs(condition, there, times=times, magnitudes=strength, draw=draw)

        table = pl.concat([chance("remove"), chance("exact"), *(chance("placebo", draw) for draw in range(5))])
        effects = effects_of(table, family=FAMILY, margins=MARGINS)
        found += effects.filter(pl.col("condition") == "remove")["p_value"][0] <= 0.05
    assert found <= of_scipy.binom.ppf(0.99, num, 0.05)


def test_conditions_that_do_nothing_are_rarely_called_anything():
    words = []
    for study in range(100):
        rng = np.random.default_rng(study)

        def chance(condition: str, draw: int = 0, rng=rng) -> pl.DataFrame:
            there = rng.random(8) < 0.8
            times = [float(rng.choice([2, 4, 6])) if here else None for here in there]
            return runs(condition, there, times=times, magnitudes=rng.normal(5, 1.5, size=8), draw=draw)

        table = pl.concat([chance("remove"), chance("exact"), *(chance("placebo", draw) for draw in range(5))])
        words += effects_of(table, family=FAMILY, margins=MARGINS)["label"].to_list()
    wrong = sum(word in ("kills", "delays", "weakens") for word in words)
    # 200 labels; two-sided tests at 5 % of which one side has a word
    assert wrong <= of_scipy.binom.ppf(0.999, 200, 0.05)
    assert "kills" not in words and set(words) <= set(LABELS)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"family": [("e", "placebo")]}, "no control"),
        ({"family": [("e", "remove")] * 2}, "once"),
        ({"rows": lambda t: t.drop("draw")}, r"missing: \['draw'\]"),
        ({"rows": lambda t: pl.concat([t, t[:1]])}, "there twice"),
        ({"rows": lambda t: t.with_columns(horizon_steps=pl.col("seed").cast(pl.Float64))}, "different times"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(change, message):
    table = pl.concat([runs("remove", [0] * 8), placebos()])
    with pytest.raises(ValueError, match=message):
        effects_of(change.get("rows", lambda t: t)(table), family=change.get("family", FAMILY), margins=MARGINS)


def test_margins_that_mean_nothing_are_refused():
    for wrong in ({"delay_steps": 0}, {"delay_steps": 1, "risk": 1.0}, {"delay_steps": 1, "alpha": 0.5}):
        with pytest.raises(ValueError, match="margins are above 0"):
            Margins(**wrong)


def test_what_a_design_can_reach_by_hand():
    # 8 seeds: 2 / 256 = .0078; six tests .047, seven .055. For 7 tests 9 seeds: 2 / 512 * 7 = .027
    found = attainable(8, 6)
    assert found.smallest_p == 2 / 256 and found.smallest_q == pytest.approx(12 / 256)
    assert found.can_kill and (found.seeds_for_alpha, found.seeds_to_kill) == (8, 8)
    assert attainable(8, 7).seeds_for_alpha == 9
    assert attainable(6, 1) == (2 / 64, 2 / 64, False, 6, 8)
    assert attainable(3, 1).smallest_p == 0.25


def test_a_design_without_seeds_tests_or_alpha_is_refused():
    for sizes in ((0, 1), (8, 0), (8, 1, 1.0)):
        with pytest.raises(ValueError, match="a design has seeds, tests and an alpha"):
            attainable(*sizes)

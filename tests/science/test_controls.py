import polars as pl
import pytest

from squiggle_assets.science.controls import controls_of
from squiggle_assets.science.spec import Arm, Plant, Study

SCHEMA = {"claim": pl.String, "arm": pl.String, "verdict": pl.String, "q_value": pl.Float64, "reasons": pl.String}
GOOD = {
    "planted:planted": ("supported", 0.002),
    "planted:placebo": ("not supported", 0.98),
    "consensus:blocked": ("not supported", 0.007),
    "consensus:placebo": ("not supported", 0.15),
    "consensus:planted": ("not supported", 0.005),
    "contrast:placebo-blocked:x": ("not supported", 0.19),
}


def study(*roles):
    roles = roles or ("treatment", "placebo", "planted")
    names = {"treatment": "blocked"}
    arms = tuple(
        Arm(
            name=names.get(role, role),
            curriculum="iid_baseline",
            role=role,
            description="",
            plant=Plant(start=0.5, num_steps=2, share=1.0) if role == "planted" else None,
        )
        for role in roles
    )
    return Study(name="s", title="", hypothesis="", arms=arms, seeds=(1,), fresh_seeds=(), contrasts=())


def seen(*roles, **changed):
    """Controls of GOOD; changed: claim with _ for : and - -> (verdict, q), or None to leave it out."""
    given = {name: changed.get(name.replace(":", "_").replace("-", "_"), found) for name, found in GOOD.items()}
    rows = [
        (name, name.split(":")[1].split("-")[0], found[0], found[1], f"why {name}")
        for name, found in given.items()
        if found is not None
    ]
    return controls_of(pl.DataFrame(rows, schema=SCHEMA, orient="row"), study(*roles))


def test_controls_hold_where_the_planted_response_is_supported_and_the_placebo_arm_is_silent():
    found = seen()
    assert found.holds
    assert (found.loud, found.not_silent_by_p, found.untested) == ((), (), ())
    assert [check.claim for check in found.placebo] == [
        "planted:placebo",
        "consensus:placebo",
        "contrast:placebo-blocked:x",
    ]


@pytest.mark.parametrize(
    ("changed", "loud", "untested"),
    [
        ({"planted_planted": ("exploratory", 0.002)}, (), ()),
        ({"planted_planted": ("not supported", 0.5)}, (), ()),
        ({"planted_planted": None}, (), ("planted:planted",)),
        ({"planted_placebo": None}, (), ("planted:placebo",)),
        ({"planted_placebo": ("underpowered", None)}, (), ("planted:placebo",)),
        ({"planted_placebo": ("underpowered", float("nan"))}, (), ("planted:placebo",)),
        ({"consensus_placebo": ("exploratory", 0.01)}, ("consensus:placebo",), ()),
        ({"contrast_placebo_blocked_x": ("supported", 0.01)}, ("contrast:placebo-blocked:x",), ()),
    ],
)
def test_controls_do_not_hold(changed, loud, untested):
    found = seen(**changed)
    assert (found.holds, found.loud, found.untested) == (False, loud, untested)


def test_a_placebo_claim_that_only_another_rule_held_back_is_not_silent_by_p():
    found = seen(consensus_placebo=("not supported", 0.05))
    assert found.holds
    assert found.not_silent_by_p == ("consensus:placebo",)
    assert any("Not silent by p: consensus:placebo (q = 0.05; why consensus:placebo)" in one for one in found.sentences)
    assert seen(consensus_placebo=("not supported", 0.051)).not_silent_by_p == ()


def test_each_family_answers_to_its_own_positive_control():
    found = seen().positives
    assert {family: one.found for family, one in found.items()} == {
        "planted": True,
        "consensus": False,
        "contrast": False,
    }
    assert "consensus:planted, is significant against its null but not established: not" in found["consensus"].sentence
    assert (
        "was not found: not supported, q = 0.06"
        in seen(consensus_planted=("not supported", 0.06)).positives["consensus"].sentence
    )
    assert found["contrast"].control is None
    assert "no positive control" in found["contrast"].sentence
    assert seen(consensus_planted=("supported", 0.005)).positives["consensus"].found


def test_a_silent_placebo_that_could_not_have_been_loud_is_said_to_show_little():
    found = seen(planted_placebo=("underpowered", 0.5))
    assert found.holds
    assert any("that it is silent shows little" in one for one in found.sentences)


def test_a_study_without_control_arms_has_controls_that_do_not_hold():
    found = seen("treatment")
    assert not found.holds
    assert (found.planted, found.placebo) == (None, ())
    assert [one.split(":")[0] for one in found.sentences] == ["There is no planted arm", "There is no placebo arm"]

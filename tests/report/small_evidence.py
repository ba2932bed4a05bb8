"""What was concluded of the study in small_study, as literal frames: consensus, draws, similarity, outcomes, claims."""

from squiggle_assets.schemas.base import frame
from squiggle_assets.schemas.claims import ArmOutcomes, Claims
from squiggle_assets.schemas.consensus import ConsensusEvents, Invariance, NullDraws

ARMS = {"iid": "baseline", "blocked": "treatment", "placebo": "placebo", "planted": "planted"}
ANALYSIS = "w10_p1_r15_e5_k25_test"


def consensus_events(arms=("iid", "blocked", "planted")):
    rows = []
    for number, arm in enumerate(arms):
        near = arm == "blocked"
        rows.append(
            {
                "arm": arm,
                "analysis_id": ANALYSIS,
                "probe_set": "a",
                "consensus_event_id": f"id{number}",
                "band": "layers_0_0",
                "metric_group": "spectral",
                "layer_lo": 0,
                "layer_hi": 0,
                "polarity": 1,
                "peak_step": 8,
                "onset_step": 6.0,
                "end_step": 10.0,
                "median_step": 8.0,
                "step_sd": 0.0,
                "step_ci_lo": 8.0,
                "step_ci_hi": 8.0,
                "n_seeds": 3,
                "num_matched": 3,
                "support": 1.0,
                "timing": 1.0,
                "polarity_agreement": 1.0,
                "dis_weighted": 0.25 * (number + 1),
                "dis_ci_lo": 0.125,
                "dis_ci_hi": 0.875,
                "statistic": 13.5,
                "null_mean": 6.25,
                "p_shift": 0.01,
                "p_surrogate": 0.02,
                "p_value": 0.02,
                "p_familywise": 0.03,
                "q_value": 0.04 if arm == "planted" else 0.4,
                "near_boundary": near,
                "boundary_kind": "phase_start",
                "boundary_distance": -2.0,
                "outlier_seeds": "[]",
                "constituents": "{}",
            }
        )
    return frame(ConsensusEvents, rows)


def null_draws():
    """Counts: observed 5, shift draws 0..9 (mean 4.5), surrogate draws 2..11 (mean 6.5)."""
    rows = []
    for arm in ARMS:
        for probe in ("a", "b"):
            key = {"arm": arm, "analysis_id": ANALYSIS, "probe_set": probe}
            everything = {**key, "band": "all", "metric_group": "all"}
            cell = {**key, "band": "layers_0_0", "metric_group": "spectral"}
            rows.append({**everything, "null": "observed", "draw": 0, "statistic": 5.0})
            rows.append({**cell, "null": "observed", "draw": 0, "statistic": 13.5})
            for draw in range(10):
                rows.append({**everything, "null": "shift", "draw": draw, "statistic": float(draw)})
                rows.append({**everything, "null": "surrogate", "draw": draw, "statistic": float(draw + 2)})
                rows.append({**cell, "null": "shift", "draw": draw, "statistic": 1.0})
    return frame(NullDraws, rows)


def invariance():
    rest = {"analysis_id": ANALYSIS, "probe_set": "a", "seed_a": 7, "measure": "neighbour_coverage"}
    p = {8: 0.02, 9: 0.5}
    other = [{**rest, "seed_b": seed, "value": 0.5, "null_mean": 0.375, "p_value": p[seed]} for seed in p]
    return frame(Invariance, [{"arm": arm, **row} for arm in ARMS for row in other])


def arm_outcomes():
    rows = []
    for arm in ARMS:
        key = {"study": "small", "analysis_id": ANALYSIS, "arm": arm, "n_seeds": 3, "seeds": "[7,8,9]"}
        count = {"outcome": "consensus_event_count", "unit": "events", "value": 5.0, "null_mean": 6.5, "excess": -1.5}
        count |= {"ci_lo": -3.0, "ci_hi": 0.5, "p_value": 0.8, "q_value": 0.9, "method": "draws"}
        count |= {"pairing_mean": 5.5, "pairing_p": 0.6}
        loss = {"outcome": "final_val_random_loss", "unit": "nats/token", "value": 3.0, "ci_lo": 2.9, "ci_hi": 3.1}
        rows += [{**key, **count}, {**key, **loss, "method": "t interval"}]
    return frame(ArmOutcomes, rows)


def claim(name, verdict, **given):
    parts = name.split(":")
    arm, _, against = parts[1].partition("-")
    plain = {
        "study": "small",
        "claim": name,
        "arm": arm,
        "contrast": against or None,
        "hypothesis": f"Arm {arm} does something.",
        "estimate": -1.5,
        "unit": "events above the null",
        "ci_lo": -3.0,
        "ci_hi": 0.5,
        "null_mean": 0.0,
        "p_value": 0.8,
        "q_value": 0.9,
        "n_seeds": 3,
        "n_items": 583,
        "method": "max-statistic",
        "scale": "embedded model",
        "preregistered": True,
        "verdict": verdict,
        "reasons": "q 0.9 is above 0.05",
        "evidence": "{}",
        "analysis_id": ANALYSIS,
    }
    return {**plain, **given}


def claims(planted="supported", placebo="not supported", about="not supported", **given):
    effect = {"estimate": 7.25, "unit": "robust sd", "ci_lo": 5.5, "ci_hi": 9.0, "null_mean": 1.25, "q_value": 0.008}
    control = {"control": "placebo", "control_difference": 6.0, "control_ci_lo": 4.0, "control_ci_hi": 8.0}
    rows = [
        claim("planted:planted", planted, **effect, **control),
        claim("planted:placebo", placebo),
        claim("consensus:iid", about, **given),
        claim("contrast:blocked-iid:consensus_event_excess", about),
    ]
    return frame(Claims, rows)

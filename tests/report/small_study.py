"""A whole study of three arms and three seeds as literal frames that pass their schemas: small enough to check by eye.

11 captures over 20 steps, 2 layers, so that a report takes a second. Numbers are chosen, not computed.
"""

import json

import polars as pl

from squiggle_assets.report.study_report import study_report
from squiggle_assets.schemas.base import frame
from squiggle_assets.schemas.claims import ArmOutcomes, Claims
from squiggle_assets.schemas.consensus import ConsensusEvents, Invariance, NullDraws
from squiggle_assets.schemas.curriculum import Curriculum
from squiggle_assets.schemas.events import DetectionSummary, Events
from squiggle_assets.schemas.geometry import Geometry
from squiggle_assets.schemas.runs import RunManifest, Scalars
from squiggle_assets.science.metrics import ORIENTATION
from squiggle_assets.science.spec import (
    Arm,
    BaseModelSpec,
    Contrast,
    Plant,
    PoolSpec,
    ProbeSpec,
    Profile,
    SplitSpec,
    Study,
    TrainingSpec,
)

ARMS = {"iid": "baseline", "blocked": "treatment", "placebo": "placebo", "planted": "planted"}
SEEDS, STEPS, LAYERS = (7, 8, 9), tuple(range(0, 21, 2)), (0, 1)
ANALYSIS = "w10_p1_r15_e5_k25_test"
HOSTILE = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)> [x](javascript:alert(3)) `|*_"


def study(**given):
    arms = tuple(
        Arm(
            name=name,
            curriculum="iid_baseline",
            role=role,
            description=f"the {name} arm",
            plant=Plant(start=0.6, num_steps=2, share=0.5) if role == "planted" else None,
        )
        for name, role in ARMS.items()
    )
    contrast = Contrast(arm="blocked", against="iid", outcome="consensus_event_excess", direction="greater")
    plain = {
        "name": "small",
        "title": "A small study",
        "hypothesis": "Blocks make events.",
        "arms": arms,
        "seeds": SEEDS,
        "fresh_seeds": (),
        "contrasts": (contrast,),
    }
    return Study(**{**plain, **given})


def profile():
    return Profile(
        name="tiny",
        description="sizes for looking at",
        num_seeds=3,
        pool=PoolSpec(),
        split=SplitSpec(),
        base_model=BaseModelSpec(),
        training=TrainingSpec(),
        probe=ProbeSpec(),
    )


def runs():
    return [(arm, seed, {"arm": arm, "seed": seed, "run_id": f"{arm}{seed}"}) for arm in ARMS for seed in SEEDS]


def run_manifest():
    rest = {
        "spec_json": json.dumps({"training": {"batch_size": 4, "max_length": 64}}),
        "curriculum_id": "c" * 16,
        "total_steps": 20,
        "warmup_end": 4,
        "decay_start": 16,
        "schedule_clamped": False,
        "phase_boundaries_json": "[10]",
        "num_updates": 20,
        "num_captures": 11,
        "num_train_items": 583,
        "num_truncated": 3,
        "num_tokens": 1000,
        "num_supervised_tokens": 400,
        "num_trainable": 128,
        "first_loss": 3.5,
        "best_loss": 2.25,
        "final_loss": 2.5,
        "final_loss_smooth": 2.75,
        "stopped_early": False,
    }
    return frame(RunManifest, [{**key, **rest} for _, _, key in runs()])


def curriculum(yaml_text="name: two_phases"):
    def manifest(arm):
        phases = [{"name": "first", "start_step": 0}, {"name": "second", "start_step": 10}]
        plant = {"start_step": 12, "end_step": 14} if arm == "planted" else None
        return json.dumps({"resolved_phases": phases, "plant": plant})

    rest = {"curriculum_id": "c" * 16, "curriculum_name": "two_phases", "curriculum_version": 1}
    rest |= {"yaml_sha256": "a" * 64, "yaml_text": yaml_text, "total_steps": 20, "batch_size": 4}
    return frame(Curriculum, [{"arm": arm, **rest, "manifest_json": manifest(arm)} for arm in ARMS])


def scalars(falls=True):
    """Held-out loss 4 → 3 and accuracies .1 → .5 with small differences between seeds; flat where falls is False."""
    rows = []
    for _, seed, key in runs():
        wiggle = 0.001 * seed
        for step in range(20):
            for metric, value in (("loss", 3.5 - 0.05 * step), ("lr", 0.001), ("grad_norm", 0.5)):
                rows.append({**key, "step": step, "metric": metric, "value": value})
        for step, share in ((0, 0.0), (10, 0.5), (20, 1.0)):
            done = share * (1 + wiggle) if falls else 0.0
            for split in ("random", "family"):
                rows.append({**key, "step": step, "metric": f"val_{split}_loss", "value": 4 - done})
                for what in ("token_acc", "answer_acc"):
                    rows.append({**key, "step": step, "metric": f"val_{split}_{what}", "value": 0.1 + 0.4 * done})
    return frame(Scalars, rows)


def geometry():
    rest = {"component": "x_out", "num_rows": 64, "probe_set_sha256": "p" * 64}
    rows = [
        {**key, **rest, "step": step, "probe_set": probe, "layer": layer, "metric": metric}
        | {"value": 1.0 + layer + 0.1 * (step >= 8) + 0.001 * seed}
        for _, seed, key in runs()
        for probe in ("a", "b")
        for layer in LAYERS
        for metric in ORIENTATION
        for step in STEPS
    ]
    return frame(Geometry, rows)


def events():
    """Two single change points a run and probe set (steps 8 and 12, layers 0 and 1), one composite on set a."""
    rows = []
    for _, _, key in runs():
        for number, (probe, layer, step) in enumerate((("a", 0, 8), ("a", 1, 12), ("b", 0, 8), ("b", 1, 12))):
            rows.append(_event(key, number, probe, layer, step))
        composite = _event(key, 4, "a", 0, 8) | {"metric": "__composite__", "event_type": "change_point_composite"}
        composite |= {"polarity": None, "composite_metrics": "effective_rank,principal_angle"}
        rows.append(composite)
    return frame(Events, rows)


def _event(key, number, probe, layer, step):
    return {
        **key,
        "analysis_id": ANALYSIS,
        "event_id": f"e{number}",
        "series_id": f"{probe}.x_out.{layer:02}.effective_rank",
        "probe_set": probe,
        "component": "x_out",
        "layer": layer,
        "metric": "effective_rank",
        "event_type": "change_point",
        "step": step,
        "start_step": step - 2,
        "end_step": step + 2,
        "event_phase": "transition",
        "phase_progress": step / 20,
        "is_pre_warmup": False,
        "increment": 0.1,
        "polarity": 1,
        "baseline_scope": "arm",
        "robust_z": 4.5,
        "structure_modifier": 1.0,
        "score": 0.9 - 0.1 * layer,
    }


def detection_summary():
    counts = {"num_candidates": 3, "num_candidates_pre": 0, "num_selected": 1, "num_selected_pre": 0}
    counts |= {"num_skipped_suppression": 1, "num_skipped_suppression_pre": 0, "num_skipped_topk": 1}
    counts |= {"num_skipped_pre_warmup_cap": 0, "num_increments": 10, "threshold": 0.01, "warmup_end": 4.0}
    rows = [
        {**key, **counts, "analysis_id": ANALYSIS, "probe_set": probe, "component": "x_out", "layer": layer}
        | {"metric": metric}
        for _, _, key in runs()
        for probe in ("a", "b")
        for layer in LAYERS
        for metric in ORIENTATION
    ]
    return frame(DetectionSummary, rows)


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
    rows = [{**rest, "arm": arm, "seed_b": seed, "value": 0.5, "null_mean": 0.375} for arm in ARMS for seed in (8, 9)]
    return frame(Invariance, rows)


def arm_outcomes():
    rows = []
    for arm in ARMS:
        key = {"study": "small", "analysis_id": ANALYSIS, "arm": arm, "n_seeds": 3, "seeds": "[7,8,9]"}
        count = {"outcome": "consensus_event_count", "unit": "events", "value": 5.0, "null_mean": 6.5, "excess": -1.5}
        count |= {"ci_lo": -3.0, "ci_hi": 0.5, "p_value": 0.8, "q_value": 0.9, "method": "draws"}
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


def made():
    return {"code version": "0bcbdccb0523305d", "inputs": {"small/geometry/iid/7": "f" * 64}}


def one_run(table, arm="planted", seed=7):
    return table.filter((pl.col("arm") == arm) & (pl.col("seed") == seed))


def report(**given):
    """A study report of the frames above, some of them replaced; study=... replaces the study."""
    frames = {
        "claims": claims(),
        "arm_outcomes": arm_outcomes(),
        "consensus_events": consensus_events(),
        "null_draws": null_draws(),
        "invariance": invariance(),
        "events": events(),
        "geometry": geometry(),
        "scalars": scalars(),
        "run_manifest": run_manifest(),
        "curriculum": curriculum(),
        "made": made(),
    }
    return study_report(given.pop("study", study()), profile(), **{**frames, **given})

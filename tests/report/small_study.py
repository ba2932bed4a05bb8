"""A whole study of three arms and three seeds as literal frames that pass their schemas: small enough to check by eye.

11 captures over 20 steps, 2 layers, so that a report takes a second. Numbers are chosen, not computed.
"""

import json

import polars as pl

from squiggle_assets.report.study_report import study_report
from squiggle_assets.schemas.base import frame
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
from tests.report.small_evidence import (
    ANALYSIS,
    ARMS,
    arm_outcomes,
    claims,
    consensus_events,
    invariance,
    null_draws,
)

SEEDS, STEPS, LAYERS = (7, 8, 9), tuple(range(0, 21, 2)), (0, 1)
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
        "probe_items_json": "[]",
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


def made():
    return {"code version": "0bcbdccb0523305d", "inputs": {"small/geometry/iid/7": "f" * 64}}


def one_run(table, arm="planted", seed=7):
    return table.filter((pl.col("arm") == arm) & (pl.col("seed") == seed))


def with_stopped(arm="blocked", seed=9):
    """The manifest with one run that a controller stopped."""
    stopped = (pl.col("arm") == arm) & (pl.col("seed") == seed)
    reason = pl.when(stopped).then(pl.lit("loss is nan at step 5")).otherwise("stop_reason")
    updates = pl.when(stopped).then(5).otherwise("num_updates").cast(pl.Int64)
    return run_manifest().with_columns(stopped_early=stopped, stop_reason=reason, num_updates=updates)


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

"""The tables of a study report that say what was run and what came out: arms, phases, claims, outcomes, settings.

Here: frames to document tables. Not here: the tables of evidence (evidence_tables), order and prose (study_report).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.report.document import Badge, Code, Table
from squiggle_assets.report.evidence_words import evidence_words
from squiggle_assets.report.text import MISSING, interval, mean, number, percent, plural, share
from squiggle_assets.report.timeline import Timeline
from squiggle_assets.science.spec import Profile, Study


def arms(study: Study, run_manifest: pl.DataFrame, curriculum: pl.DataFrame) -> Table:
    """What each arm is and which seeds ran."""
    names = dict(curriculum.select("arm", "curriculum_name").iter_rows())
    rows = []
    for arm in study.arms:
        runs = run_manifest.filter(pl.col("arm") == arm.name)
        if runs.is_empty():
            continue
        seeds = runs["seed"].sort().to_list()
        stopped = int(runs["stopped_early"].sum())
        items = sorted(runs["num_train_items"].unique())
        rows.append(
            (
                arm.name,
                arm.role,
                str(names.get(arm.name, MISSING)),
                number(len(seeds)),
                ", ".join(map(str, seeds)) + (f" ({stopped} stopped early, left out)" if stopped else ""),
                ", ".join(number(count) for count in items),
                arm.description,
            )
        )
    return Table(
        columns=("arm", "role", "curriculum", "n", "seeds", "items", "what it is"),
        rows=rows,
        numeric=frozenset({"n", "items"}),
        caption=f"n: seeds, one run each; {plural(len(run_manifest), 'run')} in all. items: training items that the "
        "arm's curriculum may draw. Runs of one arm differ in the seed only.",
    )


def phases(lines: Mapping[str, Timeline]) -> Table:
    """Curriculum phases by the numbers that figures show, and what else happens when."""
    rows = []
    for arm, timeline in lines.items():
        ends = [*(step for step, _ in timeline.phases[1:]), timeline.last]
        for i, ((start, name), end) in enumerate(zip(timeline.phases, ends, strict=True)):
            rows.append((arm, str(i + 1), name, f"{start} to {end - 1}"))
        if timeline.plant is not None:
            rows.append((arm, "plant", "planted items", f"{timeline.plant[0]} to {timeline.plant[1] - 1}"))
    one = next(iter(lines.values()))
    return Table(
        columns=("arm", "number", "phase", "draws of steps"),
        rows=rows,
        folded=f"Curriculum phases of {plural(len(lines), 'arm')}",
        caption=f"Warm-up of the learning rate ends at step {one.warmup_end}, its decay starts at {one.decay_start} of "
        f"{one.last} ({next(iter(lines))}). Phases and both ends are boundaries: near them every seed may move "
        "together whatever the items are.",
    )


def claims(frame: pl.DataFrame) -> Table:
    """Every claim with its numbers, verdict and reasons."""
    rows = [
        (
            row["claim"],
            Badge(row["verdict"]),
            mean(row["estimate"]),
            interval(row["ci_lo"], row["ci_hi"]),
            mean(row["null_mean"]),
            share(row["p_value"]),
            share(row["q_value"]),
            number(row["n_seeds"]),
        )
        for row in frame.iter_rows(named=True)
    ]
    columns = ("claim", "verdict", "estimate", "95 % interval", "null mean", "p", "q", "n")
    return Table(
        columns=columns,
        rows=rows,
        notes=[_note(row) for row in frame.iter_rows(named=True)],
        numeric=frozenset(columns[2:8]),
        caption="n: seeds (pairs of seeds in a contrast). control: the estimate less the control's. "
        "q: Benjamini-Hochberg within the claim's pre-registered family.",
    )


def _note(row: Mapping[str, Any]) -> str:
    said = [f"Unit: {row['unit']}."]
    if row["control"] is not None:
        span = interval(row["control_ci_lo"], row["control_ci_hi"])
        said.append(f"Beyond control {row['control']}: {mean(row['control_difference'])} {span}.")
    return " ".join([*said, f"Why: {row['reasons']}"])


def methods(frame: pl.DataFrame) -> Table:
    """How each claim was tested and which rows it rests on."""
    rows = frame.select("claim", "hypothesis", "method", "n_items", "evidence").rows()
    return Table(
        columns=("claim", "hypothesis", "method", "items", "rests on"),
        rows=[
            (claim, said, how, number(items), evidence_words(evidence)) for claim, said, how, items, evidence in rows
        ],
        numeric=frozenset({"items"}),
        folded="How each claim was tested, and the rows it rests on",
        caption="items: distinct training items of the arm's curriculum.",
    )


def outcomes(frame: pl.DataFrame) -> Table:
    """Every outcome of every arm: observed, null mean, excess, interval, p, q, n."""
    numbers = ("observed", "null mean", "excess", "95 % interval", "p", "q", "mixed", "p mixed", "n")
    columns = ("outcome", "arm", *numbers, "unit")
    rows = [
        (
            row["outcome"],
            row["arm"],
            number(row["value"]) if row["unit"] == "events" else mean(row["value"]),
            mean(row["null_mean"]),
            mean(row["excess"]),
            interval(row["ci_lo"], row["ci_hi"]),
            share(row["p_value"]),
            share(row["q_value"]),
            mean(row["pairing_mean"]),
            share(row["pairing_p"]),
            number(row["n_seeds"]),
            row["unit"],
        )
        for row in frame.sort("outcome", maintain_order=True).iter_rows(named=True)
    ]
    told = "; ".join(
        f"{name}: {how}" for name, how in frame.select("outcome", "method").unique().sort("outcome").rows()
    )
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(numbers),
        folded="All outcomes in numbers",
        caption="The interval is the excess's where there is a null, else the value's. null mean: the larger of the "
        "two null families. mixed: mean over groups with one run of every seed, each from any of the arms; p mixed: "
        "share of them with as many, small where the runs of the arm agree on what runs of other arms do not share, "
        "be it items or phases "
        f"(no part of p or q). n: seeds. {told}",
    )


def curricula_blocks(curriculum: pl.DataFrame) -> list[Code]:
    """The YAML of each different curriculum, with the arms that follow it."""
    grouped = curriculum.group_by("yaml_sha256", maintain_order=True).agg(
        pl.col("arm"), pl.col("curriculum_name").first(), pl.col("yaml_text").first()
    )
    return [Code(folded=f"Curriculum {name} ({', '.join(arms)})", text=text) for _, arms, name, text in grouped.rows()]


def settings(study: Study, profile: Profile) -> dict[str, str]:
    """Detection and consensus parameters as they were, not as they usually are."""
    detection, spec = study.detection, study.consensus
    return {
        "threshold": f"median + {detection.adaptive_k:g} MAD of the absolute increments, at least "
        + ", ".join(f"{least:g} ({metric})" for metric, least in detection.adaptive_min_threshold.items()),
        "suppression": f"{detection.peak_suppression_radius} steps, at most {detection.max_events_per_series} events a "
        f"series, {detection.max_pre_warmup} of them before the end of warm-up",
        "agreement": f"within {spec.tolerance_steps} steps in at least {percent(spec.min_seed_fraction)} of the seeds",
        "cells": f"{spec.num_bands} layer bands × 3 metric groups; the three spectral metrics are one measurement",
        "probe set": f"{spec.probe_set} (pre-registered), captured every {profile.probe.capture_every} steps",
        "alpha": f"{spec.alpha:g}",
    }

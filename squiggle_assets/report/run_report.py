"""The report of one run: what it was, how it trained, how its geometry moved, which events were found and how.

Here: order and prose of the single-run report. Not here: its tables (run_tables), figures (run_figures), rendering
(document). One run can show no agreement, so nothing here is a claim.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.report import diagnostics, run_figures, run_tables
from squiggle_assets.report.document import Block, Bullets, Document, Facts, Figure, Section, Table, Text, draft
from squiggle_assets.report.images import png
from squiggle_assets.report.sections import made_section
from squiggle_assets.report.study_figures import Frame
from squiggle_assets.report.study_tables import curricula_blocks, phases, settings
from squiggle_assets.report.text import number, plural
from squiggle_assets.report.timeline import Timeline, timelines
from squiggle_assets.schemas.handles import HandleDraft
from squiggle_assets.science.metrics import ORIENTATION
from squiggle_assets.science.spec import Profile, Study


def run_report(
    study: Study,
    profile: Profile,
    *,
    run_manifest: Frame,
    scalars: Frame,
    milestones: Frame,
    controller_decisions: Frame,
    geometry: Frame,
    events: Frame,
    detection_summary: Frame,
    curriculum: Frame,
    made: Mapping[str, Any],
) -> HandleDraft:
    """The report of one run as report.md, report.html and plots/*.png.

    Frames hold the rows of that run (curriculum: of its arm). made: as in `study_report`. Equal input gives equal
    bytes. ValueError unless run_manifest has exactly one row.
    """
    manifest, given = run_manifest.lazy().collect(), curriculum.lazy().collect()
    if len(manifest) != 1:
        raise ValueError(f"the report of one run needs one row of run_manifest, got {len(manifest)}")
    run = manifest.row(0, named=True)
    line = timelines(manifest, given)[run["arm"]]
    points, found = geometry.lazy().collect(), events.lazy().collect()
    who = f"arm {run['arm']}, seed {run['seed']}"
    grid = diagnostics.capture_grid(points["step"].unique().sort().to_list(), study.detection.peak_suppression_radius)
    sections = [
        _what(study, profile, run, given, line),
        _careful(study, points, found, grid, line),
        _training(
            scalars.lazy().collect(), milestones.lazy().collect(), controller_decisions.lazy().collect(), run, line
        ),
        _geometry(points, found, grid, line),
        _events(found, line),
        Section(
            title="What became of every candidate", blocks=[run_tables.account(detection_summary.lazy().collect())]
        ),
        Section(title="Diversity of the events", blocks=[run_tables.diversity(points, found)]),
        made_section(made, Facts(items=settings(study, profile))),
        _reading(),
    ]
    document = Document(
        title=f"One run of {study.title}",
        subtitle=f"Study {study.name}, profile {profile.name}, {who}, run {run['run_id']}",
        sections=sections,
    )
    meta = {"study": study.name, "arm": run["arm"], "seed": run["seed"], "run_id": run["run_id"]}
    return draft(document, {**meta, "num_events": len(found)})


def _what(study: Study, profile: Profile, run: Mapping[str, Any], curriculum: pl.DataFrame, line: Timeline) -> Section:
    arm = study.arm(run["arm"])
    training = json.loads(run["spec_json"])["training"]
    ended = f"stopped early: {run['stop_reason']}" if run["stopped_early"] else "ran to its end"
    facts = {
        "arm": f"{arm.name} ({arm.role}): {arm.description}",
        "seed": str(run["seed"]),
        "run id": run["run_id"],
        "curriculum": f"{curriculum['curriculum_name'][0]}, id {run['curriculum_id']}",
        "base model": f"{profile.base_model.source} (profile {profile.name}: {profile.description})",
        "steps": f"{number(run['num_updates'])} of {number(run['total_steps'])}, batches of "
        f"{training['batch_size']}; {ended}",
        "trained parameters": number(run["num_trainable"]),
        "items": f"{number(run['num_train_items'])} may be drawn, {number(run['num_truncated'])} of them cut off at "
        f"{training['max_length']} tokens",
        "tokens": f"{number(run['num_tokens'])}, {number(run['num_supervised_tokens'])} with a loss",
        "captures": number(run["num_captures"]),
        "loss": f"first {number(run['first_loss'])}, best {number(run['best_loss'])}, last "
        f"{number(run['final_loss'])} (smoothed {number(run['final_loss_smooth'])}) nats per token",
    }
    blocks: list[Block] = [Facts(items=facts), phases({arm.name: line}), *curricula_blocks(curriculum)]
    return Section(title="What the run was", blocks=blocks)


def _careful(
    study: Study, geometry: pl.DataFrame, events: pl.DataFrame, grid: diagnostics.CaptureGrid, line: Timeline
) -> Section:
    steps = {
        probe: run_tables.singles(events, probe)["step"].to_list() for probe in geometry["probe_set"].unique().sort()
    }
    captured = geometry["step"].unique().sort().to_list()
    peaks = {probe: diagnostics.peak_steps(found, captured) for probe, found in steps.items()}
    tolerance = study.consensus.tolerance_steps
    near = {probe: diagnostics.share_near_boundary(found, line, tolerance) for probe, found in steps.items()}
    warned = diagnostics.warnings(grid, peaks, near)
    table = run_tables.peaks(peaks, near, grid, tolerance)
    told: Block = Bullets(items=warned) if warned else Text(tone="good", text="Nothing that diagnostics look for.")
    return Section(title="Reasons to be careful", blocks=[told, table])


def _training(
    scalars: pl.DataFrame, milestones: pl.DataFrame, decisions: pl.DataFrame, run: Mapping[str, Any], line: Timeline
) -> Section:
    figure = Figure(
        name="training",
        image=png(run_figures.training(scalars, line)),
        alt="Loss, answers right, learning rate and gradient norm over the run",
        caption=f"n = 1 run, {number(run['num_updates'])} updates. Shaded: every second curriculum phase; yellow: "
        "planted steps; dotted: end of warm-up, start of decay.",
    )
    blocks: list[Block] = [figure]
    if milestones.is_empty():
        blocks.append(Text(text="No milestone: the smoothed loss did not fall by a pre-set share of its baseline."))
    else:
        rows = milestones.sort("milestone").select("milestone", "step", "loss_smooth", "target_loss").rows()
        columns = ("drop", "step", "smoothed loss", "target")
        blocks.append(
            Table(
                columns=columns,
                rows=[tuple(map(number, row)) for row in rows],
                numeric=frozenset(columns),
                caption="First step at which the smoothed loss had fallen by this share of its baseline.",
            )
        )
    if not decisions.is_empty():
        rows = decisions.sort("step").select("step", "controller", "decision", "reason").rows()
        blocks.append(
            Table(
                columns=("step", "controller", "decision", "why"),
                rows=[(number(step), *rest) for step, *rest in rows],
                numeric=frozenset({"step"}),
                caption=f"{plural(len(rows), 'decision')} of the controllers.",
            )
        )
    return Section(title="Training", blocks=blocks)


def _geometry(geometry: pl.DataFrame, events: pl.DataFrame, grid: diagnostics.CaptureGrid, line: Timeline) -> Section:
    state = geometry.filter(pl.col("metric").is_in(list(ORIENTATION)))
    rows_each = geometry["num_rows"].unique().sort().to_list()
    figure = Figure(
        name="geometry",
        image=png(run_figures.geometry_layers(state, events, line)),
        alt="Every geometry metric of every layer over the run, with change points",
        caption=f"n = 1 run, {plural(grid.num_captures, 'capture')} every {grid.cadence:g} steps; each point rests on "
        f"{' or '.join(map(number, rows_each))} token positions. Dots: single change points.",
    )
    return Section(title="Captures and geometry", blocks=[figure, run_tables.ends(state)])


def _events(events: pl.DataFrame, line: Timeline) -> Section:
    composites = len(events.filter(pl.col("event_type") != "change_point"))
    if events.is_empty():
        return Section(
            title="Events", blocks=[Text(text="No event: no increment stood out above its series' threshold.")]
        )
    figure = Figure(
        name="event_map",
        image=png(run_figures.event_map(events, line)),
        alt="Change points of every series by step",
        caption=f"n = 1 run, {number(len(events) - composites)} single change points. Red: towards more, blue: towards "
        "less (after orientation); size: score.",
    )
    return Section(title="Events", blocks=[figure, run_tables.events(events, composites)])


def _reading() -> Section:
    return Section(
        title="How to read this",
        blocks=[
            Text(
                text="An event is a moment at which a metric changed by more than its own recent habit, found by a "
                "threshold relative to the run itself: any run has events, also one that learns nothing. Whether they "
                "mean something shows only when other seeds have them too, more often than nulls give: see the report "
                "of the study. A run by itself supports no claim."
            )
        ],
    )

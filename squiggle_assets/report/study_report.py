"""The report of a study: what was found first, then everything it rests on.

Here: order and prose of the report. Not here: its tables (study_tables), figures (study_figures), sentences about
claims (findings), rendering (document).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from squiggle_assets.report import evidence_tables, held_out, overview, sections, study_figures, study_tables
from squiggle_assets.report.document import (
    Block,
    Bullets,
    Document,
    Facts,
    Section,
    Text,
    draft,
)
from squiggle_assets.report.study_figures import Frame
from squiggle_assets.report.text import listed, number, plural
from squiggle_assets.report.timeline import Timeline, timelines
from squiggle_assets.schemas.handles import HandleDraft
from squiggle_assets.science.exclusions import without_stopped
from squiggle_assets.science.spec import Profile, Study

NULLS = (
    "A count of consensus events means nothing by itself: a relative threshold finds events in any run, and seeds "
    "share a schedule. The shift null moves every seed's events in time and asks whether events this frequent and "
    "this strong coincide by chance; the surrogate null keeps each seed's size of movement over time (learning rate, "
    "phases, warm-up), moves and flips the movements themselves and detects again, asking whether the schedule alone "
    "explains the agreement. An event has to beat both, so p is the larger of the two."
)


def study_report(
    study: Study,
    profile: Profile,
    *,
    claims: Frame,
    arm_outcomes: Frame,
    consensus_events: Frame,
    null_draws: Frame,
    invariance: Frame,
    events: Frame,
    geometry: Frame,
    scalars: Frame,
    run_manifest: Frame,
    curriculum: Frame,
    made: Mapping[str, Any],
    minimum_detectable: Frame | None = None,
    chapters: Sequence[Section] = (),
) -> HandleDraft:
    """The report of a study as report.md, report.html and plots/*.png.

    Frames hold the rows of all arms and seeds (lazy ones are read only as far as needed). made: how the result came
    about, label -> text or number, or label -> mapping (such as input -> sha256), shown as it is. minimum_detectable:
    the table of that name, None where nothing was worked out. chapters: sections that only studies of this kind have.
    Equal input gives equal bytes. ValueError if there are no runs or runs of an arm have different schedules.
    """
    manifest, given = run_manifest.lazy().drop("spec_json").collect(), curriculum.lazy().collect()
    order = {arm.name: i for i, arm in enumerate(study.arms)}
    found = timelines(manifest, given)
    lines = {arm: found[arm] for arm in sorted(found, key=lambda arm: order.get(arm, len(order)))}
    if not lines:
        raise ValueError(f"study {study.name}: no arm has both runs and a curriculum, so there is nothing to report")
    said, results = claims.lazy().collect(), arm_outcomes.lazy().collect()
    draws = _only_counts_of(null_draws, manifest, study)
    design = None if minimum_detectable is None else minimum_detectable.lazy().collect()
    parts = [
        sections.found(study, said, results),
        sections.claims(said),
        _scale(study, profile, said, manifest, draws),
        Section(title="Controls", blocks=[*overview.controls_blocks(study, said), overview.power(design)]),
        *chapters,
        _arms(study, manifest, given, lines),
        _outcomes(profile, results, without_stopped(_validation(scalars), manifest), lines),
        _consensus(study, consensus_events.lazy().collect(), draws, results, invariance.lazy().collect(), lines),
        _runs(study, geometry, events, consensus_events, lines),
        sections.made_section(made, Facts(items=study_tables.settings(study, profile))),
        _reading(),
    ]
    document = Document(
        title=study.title,
        subtitle=f"Study {study.name}, profile {profile.name}: {plural(len(lines), 'arm')}, "
        f"{plural(len(manifest), 'run')}, {plural(len(said), 'claim')}",
        sections=parts,
    )
    verdicts = dict(said.select("claim", "verdict").iter_rows())
    return draft(document, {"study": study.name, "num_runs": len(manifest), "verdicts": verdicts})


def _validation(scalars: Frame) -> pl.DataFrame:
    columns = ("arm", "seed", "step", "metric", "value")
    return scalars.lazy().filter(pl.col("metric").str.starts_with("val_")).select(columns).collect()


def _only_counts_of(null_draws: Frame, manifest: pl.DataFrame, study: Study) -> pl.DataFrame:
    """Draws of counts, and of one draw per cell: enough to know the cells, without a million rows."""
    wanted = (pl.col("band") == "all") | (pl.col("draw") == 0)
    columns = ("arm", "probe_set", "band", "metric_group", "null", "draw", "statistic")
    return null_draws.lazy().filter(wanted).select(columns).collect()


GLOSSARY = (
    "robust sd: 1.4826 × the median absolute deviation of a series' own increments over its run (a standard deviation "
    "that single jumps do not move); the planted responses are counted in asinh of it, which is the same up to about "
    "1 and its logarithm beyond (1.4 is 2 robust sd, 2.5 is 6, 4 is 27).",
    "envelopes: an increment less the drift that seeds share, over the size of movement that is usual at that step (a "
    "curve pooled over seeds and over the series of a metric group, with its own values at schedule boundaries); 2 "
    "envelopes are twice the usual movement of that step. In consensus events they count up to 6.",
    "DIS (dynamics impact score): how large an event is against the baseline arm's increments, less where the series "
    "moves all the time; weighted DIS: its mean over the seeds of a consensus event × how well they agree (share of "
    "seeds, timing, polarity, shape). It ranks events and decides nothing.",
)


def _scale(
    study: Study, profile: Profile, claims: pl.DataFrame, manifest: pl.DataFrame, draws: pl.DataFrame
) -> Section:
    table, met = evidence_tables.sizes(study, manifest, draws)
    blocks: list[Block] = [
        Text(
            text=f"Everything here is about: {sections.scales(claims, profile)}. Profile {profile.name}: "
            f"{profile.description}."
        ),
        table,
    ]
    if not met:
        blocks.append(
            Text(
                tone="warning",
                text="These sizes are smaller than what a study needs to say something: the machinery was shown to "
                "run, no claim was put to a real test.",
            )
        )
    return Section(title="Scale: what this is about", blocks=blocks)


def _arms(study: Study, manifest: pl.DataFrame, curriculum: pl.DataFrame, lines: Mapping[str, Timeline]) -> Section:
    absent = [arm.name for arm in study.arms if arm.name not in lines]
    blocks: list[Block] = [study_tables.arms(study, manifest, curriculum), study_tables.phases(lines)]
    if absent:
        blocks.append(Text(tone="warning", text=f"No runs of {listed(absent)}: nothing is said about them."))
    blocks += [Text(tone="warning", text=text) for text in _left_out(manifest)]
    blocks += study_tables.curricula_blocks(curriculum)
    return Section(title="Arms and seeds", blocks=blocks)


def _left_out(manifest: pl.DataFrame) -> list[str]:
    """One sentence for the runs that controllers stopped, none without any."""
    stopped = manifest.filter("stopped_early").sort("arm", "seed")
    runs = [
        f"{row['arm']} seed {row['seed']} after {number(row['num_updates'])} updates ({row['stop_reason']})"
        for row in stopped.iter_rows(named=True)
    ]
    if not runs:
        return []
    return [
        f"Left out of consensus, outcomes, contrasts and baselines, because a controller stopped them: {listed(runs)}. "
        "Which runs are missing depends on how they went: what is left of their arms is a selection, and with fewer "
        "than 5 seeds nothing is claimed."
    ]


def _outcomes(
    profile: Profile, outcomes: pl.DataFrame, scalars: pl.DataFrame, lines: Mapping[str, Timeline]
) -> Section:
    num_items = profile.training.eval_items
    return Section(
        title="Outcomes",
        blocks=[
            study_figures.outcomes(outcomes, lines),
            study_tables.outcomes(outcomes),
            study_figures.validation(scalars, lines, num_items),
            *held_out.blocks(scalars, list(lines), num_items),
        ],
    )


def _consensus(
    study: Study,
    events: pl.DataFrame,
    draws: pl.DataFrame,
    outcomes: pl.DataFrame,
    invariance: pl.DataFrame,
    lines: Mapping[str, Timeline],
) -> Section:
    probe, alpha = study.consensus.probe_set, study.consensus.alpha
    of_probe = pl.col("probe_set") == probe
    mine = events.filter(of_probe)
    by_arm = dict(outcomes.group_by("arm", maintain_order=True).agg(pl.col("n_seeds").max()).rows())
    strong = mine.filter(pl.col("q_value") <= alpha)
    near = int(strong["near_boundary"].sum())
    return Section(
        title="Consensus events and their nulls",
        blocks=[
            Text(text=NULLS),
            evidence_tables.counts(draws, outcomes, list(lines), probe),
            study_figures.nulls(draws.filter(of_probe), lines, probe, by_arm),
            study_figures.timeline(mine, lines, probe, alpha),
            Text(
                text=f"On probe set {probe}, {number(len(strong))} of {plural(len(mine), 'consensus event')} have "
                f"q ≤ {alpha:g}; {number(near)} of those lie near a boundary of the schedule, which may be all there "
                "is to them."
            ),
            evidence_tables.consensus(mine),
            evidence_tables.invariance(invariance.filter(of_probe)),
        ],
    )


def _runs(study: Study, geometry: Frame, events: Frame, consensus: Frame, lines: Mapping[str, Timeline]) -> Section:
    probe, alpha = study.consensus.probe_set, study.consensus.alpha
    of_probe = pl.col("probe_set") == probe
    columns = ("arm", "seed", "step", "metric", "event_type", "polarity")
    single = events.lazy().filter(of_probe).select(columns).collect()
    agreed = consensus.lazy().filter(of_probe).collect()
    return Section(
        title="Runs: events and trajectories",
        blocks=[
            study_figures.raster(single, agreed, lines, probe, alpha),
            *study_figures.trajectories(geometry, agreed, lines, probe, alpha),
        ],
    )


def _reading() -> Section:
    return sections.reading(
        Text(text="Three units that the tables use:"),
        Bullets(items=GLOSSARY),
        Text(
            text="An event is a moment at which a geometry metric changed by more than its own recent habit; a "
            "consensus event is one that enough seeds share. Neither says that the model learned anything: for "
            "that, look at the held-out outcomes. q is p after correction for the number of tests in its family; "
            "excess is what is left of an observation when what the null gives on average is taken away."
        ),
    )

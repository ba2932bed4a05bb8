"""The report of a study that follows its triggers up: what the edits did, and everything that rests on.

Here: order and prose. Not here: its tables and figures (trigger_tables), rendering (document).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.report import sections, trigger_tables
from squiggle_assets.report.document import Block, Bullets, Document, Section, Text, draft
from squiggle_assets.report.study_figures import Frame
from squiggle_assets.report.text import listed, number, percent, plural
from squiggle_assets.schemas.handles import HandleDraft
from squiggle_assets.science.bundles import smallest_acting_items
from squiggle_assets.science.effect_labels import LABELS
from squiggle_assets.science.spec import Profile, Study

LABEL_WORDS = {
    "kills": "more than half of the seeds lose the event, beyond what placebo edits do",
    "delays": "its threshold is crossed later in most seeds; whether that crossing is the event is not tested",
    "weakens": "the event comes, but weaker",
    "preserves": "equivalent to the control within margins set beforehand: nothing happened, and that was tested",
    "inconclusive": "no rule fits: neither an effect nor its absence was shown",
}
CONDITIONS = (
    "exact: the same draws once more, from the beginning; shows that a run can be repeated",
    "remove: the triggers' draws in the window are drawn again by the policy, without the triggers",
    "replace: each is replaced by an item of its family that is no trigger, of like length and exposure",
    "placebo: as many draws of other items of the same families are edited in the same way, several times over",
    "late, early: the draws are moved behind or before the event",
)


def trigger_report(
    study: Study,
    profile: Profile,
    *,
    claims: Frame,
    followup_design: Frame,
    minimum_lift: Frame,
    trigger_status: Frame,
    trigger_attribution: Frame,
    selection: Frame,
    counterfactual_runs: Frame,
    counterfactual_effects: Frame,
    confirmed_effects: Frame,
    made: Mapping[str, Any],
) -> HandleDraft:
    """The report as report.md, report.html and plots/*.png; frames hold the rows of all arms and seeds.

    made: how the result came about, label -> text or mapping. Equal input gives equal bytes.
    """
    said, runs = claims.lazy().collect(), counterfactual_runs.lazy().collect()
    effects, fresh = counterfactual_effects.lazy().collect(), confirmed_effects.lazy().collect()
    status, items = trigger_status.lazy().collect(), trigger_attribution.lazy().collect()
    chosen = selection.lazy().collect()
    parts = [
        _found(study, said, chosen),
        sections.claims(said),
        _design(followup_design.lazy().collect(), minimum_lift.lazy().collect()),
        _triggers(study, status, items),
        _edits(chosen, runs, effects, fresh, profile.training.total_steps * profile.training.step_multiplier),
        sections.made_section(made),
        _reading(),
    ]
    document = Document(
        title=study.title,
        subtitle=f"Study {study.name}, profile {profile.name}: {plural(len(runs), 'replay')}, "
        f"{plural(len(said), 'claim')}. Everything here is about: {sections.scales(said, profile)}.",
        sections=parts,
    )
    verdicts = dict(said.select("claim", "verdict").iter_rows())
    return draft(document, {"study": study.name, "num_replays": len(runs), "verdicts": verdicts})


def _found(study: Study, claims: pl.DataFrame, chosen: pl.DataFrame) -> Section:
    without = sorted(
        {each.parent for each in study.followups} - set(chosen.filter(pl.col("status") == "selected")["parent_arm"])
    )
    blocks: list[Block] = [Text(text=f"Hypothesis: {study.hypothesis}")]
    blocks += [Text(tone="lead", text=sentence) for sentence in sections.sentences(claims)]
    planted = sorted({arm.name for arm in study.arms if arm.role == "planted"} & set(claims["arm"]) - set(without))
    if planted:
        blocks.append(
            Text(
                tone="note",
                text=f"Arm {listed(planted)} is the positive control: its items were put in by this platform. That "
                "removing them acts shows that the method sees what is there; it is no finding about any item.",
            )
        )
    if without:
        blocks.append(
            Text(
                tone="note",
                text=f"No triggers: no significant consensus event of {listed(without)} has items that were shown "
                "before it so much more often than chance has it that attribution could tell (what it could have told "
                "stands below), so nothing was edited there, and its claims could not be tested.",
            )
        )
    return Section(title="What was found", blocks=blocks)


def _design(design: pl.DataFrame, lifts: pl.DataFrame) -> Section:
    row = design.row(0, named=True)
    reach = (
        f"{plural(row['n_seeds'], 'seed')} and {plural(row['num_tests'], 'test')} can give no q below "
        f"{row['smallest_q']:.3g}"
    )
    blocks: list[Block] = [Text(text=f"{reach} (alpha {row['alpha']:g}); worked out before anything was trained.")]
    if row["smallest_q"] > row["alpha"]:
        blocks.append(
            Text(
                tone="warning",
                text=f"Nothing that the follow-ups do can be significant at these sizes: {row['seeds_for_alpha']} "
                f"seeds could reach alpha, {row['seeds_to_kill']} the label 'kills'. The machinery was shown to run, "
                "no claim was put to a real test.",
            )
        )
    return Section(title="What this design can show", blocks=[*blocks, trigger_tables.lifts(lifts)])


def _triggers(study: Study, status: pl.DataFrame, items: pl.DataFrame) -> Section:
    spec = study.triggers
    return Section(
        title="Items shown before the events",
        blocks=[
            Text(
                text="An item's draws in the windows before an event are compared with its draws in the whole runs and "
                "the share of them that chance puts into the windows. A trigger stands out with q at most "
                f"{spec.max_q:g} in at least {plural(spec.min_seeds, 'seed')}. To be shown before an event is no "
                "cause: that is what the edits are for."
            ),
            trigger_tables.status(status),
            trigger_tables.items(items),
        ],
    )


def _edits(
    chosen: pl.DataFrame, runs: pl.DataFrame, effects: pl.DataFrame, fresh: pl.DataFrame, num_steps: int
) -> Section:
    title = "What the edits did"
    if runs.is_empty():
        return Section(title=title, blocks=[Text(text="Nothing was edited: no event has triggers.")])
    edited = runs.filter(pl.col("num_edits") > 0)
    spared = edited.select(pl.col("steps_reused").mean()).item() or 0.0
    same = int(runs["prefix_identical"].sum())
    return Section(
        title=title,
        blocks=[
            Text(
                text=f"{number(same)} of {plural(len(runs), 'replay')} are their parent bit for bit before their first "
                "edit (draws, losses, geometry). The parents' checkpoints spare the edited ones "
                f"{percent(spared / num_steps)} of their steps."
            ),
            trigger_tables.selection(chosen),
            trigger_tables.strengths(runs),
            trigger_tables.effects(effects, "on the seeds on which the triggers were found"),
            trigger_tables.effects(fresh, "on fresh seeds, which took no part in any choice"),
            *_acting(chosen, effects, fresh),
        ],
    )


def _acting(chosen: pl.DataFrame, effects: pl.DataFrame, fresh: pl.DataFrame) -> list[Block]:
    found = []
    for table, where in ((effects, "on the parents' seeds"), (fresh, "on fresh seeds")):
        found += trigger_tables.acting(smallest_acting_items(chosen, table), where)
    return [Bullets(items=found)] if found else []


def _reading() -> Section:
    return sections.reading(
        Text(text="Labels are words beside the verdict, by rules that were stated beforehand:"),
        Bullets(items=[f"{label}: {LABEL_WORDS[label]}" for label in LABELS]),
        Text(text="Conditions of the replays:"),
        Bullets(items=CONDITIONS),
        Text(
            text="envelopes: an increment less the drift that seeds share, over the size of movement usual at that "
            "step. The event counts as present where it reaches half of the parent's strength within the tolerance "
            "of its step; that place was frozen before any replay was trained."
        ),
    )

"""The report of a study that builds a curriculum from what it found: the core, its controls, what starting there does.

Here: order and prose. Not here: its tables and figure (impact_tables), rendering (document).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.report import impact_tables, overview, sections
from squiggle_assets.report.document import Block, Bullets, Document, Facts, Section, Text, draft
from squiggle_assets.report.study_figures import Frame
from squiggle_assets.report.text import MISSING, listed, number, plural
from squiggle_assets.schemas.handles import HandleDraft
from squiggle_assets.science.impact_arms import trios_of
from squiggle_assets.science.impact_core import MIXED, NO_SELECTION, RANKED, TRIGGERS
from squiggle_assets.science.spec import Profile, Study

STATUS_WORDS = {
    TRIGGERS: "every item of the core is a trigger of a significant consensus event",
    MIXED: "some items are triggers of a significant event, the others only rank next",
    RANKED: "no item is a trigger of a significant event: the core is what ranks highest, and nothing more",
    NO_SELECTION: "too few items could be ranked, so there is no core and nothing was trained from one",
}
OUTCOME_WORDS = (
    "consensus_event_excess: consensus events beyond what each arm's null gives",
    "cell_strength: the strongest event of each run in the cell and direction of the event that ranked the first item, "
    "in envelopes (the size of movement usual at that step); 0 for a run without one",
    "cell_step: the step of that event; the last step for a run without one",
    "final_*: the last value of a held-out score: whether any of this is learning, or geometry alone",
)


def impact_report(
    study: Study,
    profile: Profile,
    *,
    claims: Frame,
    impact_design: Frame,
    impact_status: Frame,
    impact_core: Frame,
    impact_effects: Frame,
    expected_exposure: Frame,
    run_manifest: Frame,
    made: Mapping[str, Any],
) -> HandleDraft:
    """The report as report.md, report.html and plots/*.png; frames hold the rows of all arms and seeds.

    expected_exposure and run_manifest: those of the confirmation wave. made: how the result came about, label -> text
    or mapping. Equal input gives equal bytes.
    """
    said, runs = claims.lazy().collect(), run_manifest.lazy().collect()
    core, effects = impact_core.lazy().collect(), impact_effects.lazy().collect()
    states = impact_status.lazy().collect().to_dicts()
    state = states[0] if states else {"status": NO_SELECTION, "reason": "how it came about was not recorded"}
    exposure = impact_tables.exposure(study, expected_exposure.lazy().collect(), core, runs)
    document = Document(
        title=study.title,
        subtitle=f"Study {study.name}, profile {profile.name}: {plural(len(runs), 'run')} on fresh seeds, "
        f"{plural(len(said), 'claim')}. Everything here is about: {sections.scales(said, profile)}.",
        sections=[
            _found(study, said, state),
            sections.claims(said),
            _design(impact_design.lazy().collect()),
            _core(state),
            _items(core),
            Section(title="Is the exposure equal?", blocks=exposure),
            _effects(study, effects),
            sections.made_section(made),
            _reading(),
        ],
    )
    verdicts = dict(said.select("claim", "verdict").iter_rows())
    meta = {"study": study.name, "status": state["status"], "num_runs": len(runs), "verdicts": verdicts}
    return draft(document, meta)


def _found(study: Study, claims: pl.DataFrame, state: Mapping[str, Any]) -> Section:
    blocks: list[Block] = [Text(text=f"Hypothesis: {study.hypothesis}"), *_limits(state)]
    if claims.is_empty():
        return Section(title="What was found", blocks=[*blocks, Text(text="There are no claims: nothing was tested.")])
    rows = claims.to_dicts()
    blocks.append(Text(tone="lead", text=f"{plural(len(rows), 'claim')}: {overview.counted(rows)}."))
    untested = claims.filter(pl.col("estimate").is_null())
    if len(untested) == len(claims):
        return Section(title="What was found", blocks=[*blocks, Text(text="None of them could be tested.")])
    controls = {trio.impact: trio.random for trio in trios_of(study)}
    main = claims.filter(pl.col("contrast") == pl.col("arm").replace_strict(controls, default=None))
    blocks += [
        Text(
            text="Against the mean of the random cores, which are other draws from the same families and every claim's "
            "control: only a difference to them is about these items, and not about starting from a few items at all. "
            "Seeds say how sure the difference to these random cores is; so the impact core also has to be more than "
            "one more of them would be, and the interval is the wider one over seeds and over cores."
        ),
        sections.each_finding(study, main),
    ]
    others = len(claims) - len(main)
    if others:
        blocks.append(
            Text(
                text=f"{plural(others, 'claim')} against the high-loss core and the plain curriculum stand below; the "
                "high-loss core is one choice of items, so such a claim rests on seeds alone, beside its control."
            )
        )
    return Section(title="What was found", blocks=blocks)


def _limits(state: Mapping[str, Any]) -> list[Text]:
    """What the way in which the core came about allows to be said at best."""
    if state["status"] == NO_SELECTION:
        return [Text(tone="note", text=f"No core: {state['reason']}. Nothing was trained from one. That is an answer.")]
    if state["status"] == TRIGGERS:
        return []
    return [
        Text(
            tone="note",
            text=f"{STATUS_WORDS[state['status']].capitalize()} ({state['reason']}). There is no finding of discovery "
            "that fresh seeds could confirm for the whole core, so nothing here is more than exploratory.",
        )
    ]


def _design(design: pl.DataFrame) -> Section:
    title = "What this design can show"
    if design.is_empty():
        return Section(title=title, blocks=[Text(text="What the families of claims could show was not worked out.")])
    blocks: list[Block] = [
        Text(text="Worked out before anything was trained: the smallest q that a lone effect could get."),
        impact_tables.design(design),
    ]
    short = design.filter(pl.col("smallest_q").is_null() | (pl.col("smallest_q") > pl.col("alpha")))
    if len(short):
        needed = [f"{row['family']} {row['seeds_for_alpha']}" for row in short.iter_rows(named=True)]
        blocks.append(
            Text(
                tone="warning",
                text=f"At these sizes no lone effect among the {listed(short['family'].to_list())} claims can reach "
                f"alpha (seeds that could: {', '.join(needed)}): the machinery was shown to run, those claims were not "
                "put to a real test.",
            )
        )
    if (design["num_draws"] < 2).any():
        told = "With one random core nothing is known of another draw: no claim against it can be supported."
        blocks.append(Text(tone="warning", text=told))
    return Section(title=title, blocks=blocks)


def _core(state: Mapping[str, Any]) -> Section:
    title = "How the core came about"
    words = f"{state['status']}: {STATUS_WORDS[state['status']]} ({state['reason']})."
    blocks: list[Block] = [Text(text=words[:1].upper() + words[1:])]
    if state["status"] == NO_SELECTION:
        return Section(title=title, blocks=blocks)
    if state["num_significant_events"] == 0:
        blocks.append(
            Text(
                tone="warning",
                text="No consensus event of the compared arms is significant. The items are ranked by the one with the "
                "smallest q, so that there is something to test.",
            )
        )
    shared = state["num_shared_with_loss"]
    blocks.append(
        Facts(
            items={
                "items": number(state["num_items"]),
                "of these triggers": number(state["num_triggers"]),
                "families": number(state["num_families"]),
                "also in the high-loss core": MISSING if shared is None else number(shared),
                "significant events": number(state["num_significant_events"]),
                "event of the first item": impact_tables.event(state),
                "hash of the core": str(state["core_sha256"]),
            }
        )
    )
    return Section(title=title, blocks=blocks)


def _items(core: pl.DataFrame) -> Section:
    title = "The core beside its controls"
    if core.is_empty():
        return Section(title=title, blocks=[Text(text="There is no core, so there are no items to show.")])
    return Section(
        title=title,
        blocks=[
            Text(
                text="Items were chosen on the discovery seeds alone, by a rule that was fixed before any run. Each "
                "item of a control core takes the place of one of the impact core, of the same family."
            ),
            impact_tables.items(core),
            impact_tables.families(core),
        ],
    )


def _effects(study: Study, effects: pl.DataFrame) -> Section:
    title = "What starting from the core does"
    if effects.is_empty():
        told = "No pair of arms could be compared: there is no core, or fewer than 2 fresh seeds have a run in both."
        return Section(title=title, blocks=[Text(text=told)])
    ratios = impact_tables.ratios(effects, [trio.impact for trio in trios_of(study)])
    blocks: list[Block] = [Text(text="On fresh seeds, which took no part in any choice; pairs have the same seed.")]
    if ratios:
        blocks.append(Bullets(items=ratios))
    return Section(
        title=title,
        blocks=[*blocks, impact_tables.effects_figure(study, effects), impact_tables.effects(study, effects)],
    )


def _reading() -> Section:
    return sections.reading(
        Text(text="How a core can come about:"),
        Bullets(items=[f"{status}: {meaning}" for status, meaning in STATUS_WORDS.items()]),
        Text(text="Outcomes:"),
        Bullets(items=OUTCOME_WORDS),
        Text(
            text="Weight: of a core item while the other items are ramped in. With few events a rate ratio is all but "
            "undetermined, so the claim is the difference of the excesses, and the ratio stands beside it."
        ),
    )

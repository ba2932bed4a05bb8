"""The report of a probe study: which families move the model in a way of their own, and what that rests on.

Here: order and prose. Not here: its tables and figure (probe_tables), rendering (document).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.report import overview, probe_tables, sections
from squiggle_assets.report.document import Block, Bullets, Document, Section, Text, draft
from squiggle_assets.report.study_figures import Frame
from squiggle_assets.report.text import listed, number, plural
from squiggle_assets.schemas.handles import HandleDraft
from squiggle_assets.science.probe_distance import MIN_MIXTURES
from squiggle_assets.science.probe_families import mixtures_of
from squiggle_assets.science.spec import Profile, Study

CONTROLS = (
    "The planted arm begins with items that move the model, and goes on as a random mixture; the placebo is one of the "
    "random mixtures, held against the others."
)
SIGNATURE_WORDS = (
    "effective rank change, sv entropy change, sparsity proxy change: how far the state of the residual stream is from "
    "where it was before training (mean over layers of the absolute difference)",
    "principal angle: how far its leading directions have turned, in radians",
    "drift path, alignment path: the way travelled in between, in effective rank and in radians per 1000 tokens",
)


def probe_report(
    study: Study,
    profile: Profile,
    *,
    claims: Frame,
    probe_tests: Frame,
    probe_draws: Frame,
    probe_summaries: Frame,
    run_manifest: Frame,
    made: Mapping[str, Any],
) -> HandleDraft:
    """The report as report.md, report.html and plots/*.png; frames hold the rows of all arms and seeds.

    made: how the result came about, label -> text or mapping. Equal input gives equal bytes.
    """
    said, tests = claims.lazy().collect(), probe_tests.lazy().collect()
    runs, summaries = run_manifest.lazy().collect(), probe_summaries.lazy().collect()
    document = Document(
        title=study.title,
        subtitle=f"Study {study.name}, profile {profile.name}: {plural(runs['arm'].n_unique(), 'arm')}, "
        f"{plural(len(runs), 'run')}, {plural(len(said), 'claim')}. Everything here is about: "
        f"{sections.scales(said, profile)}.",
        sections=[
            sections.found(study, said),
            sections.claims(said),
            Section(title="Controls", blocks=overview.controls_blocks(study, said, CONTROLS)),
            _distances(study, tests, probe_draws.lazy().collect()),
            _components(tests),
            Section(title="What was matched", blocks=[*_left_out(runs), *probe_tables.matched(summaries)]),
            sections.made_section(made),
            _reading(),
        ],
    )
    verdicts = dict(said.select("claim", "verdict").iter_rows())
    return draft(document, {"study": study.name, "num_runs": len(runs), "verdicts": verdicts})


def _untested(study: Study) -> Text:
    return Text(
        text=f"Nothing was tested: that takes 2 seeds whose runs went to their end in every arm and {MIN_MIXTURES} "
        f"mixtures (the study has {number(len(mixtures_of(study)))})."
    )


def _distances(study: Study, tests: pl.DataFrame, draws: pl.DataFrame) -> Section:
    title = "Distances from random mixtures"
    if tests.is_empty():
        return Section(title=title, blocks=[_untested(study)])
    return Section(
        title=title,
        blocks=[
            Text(
                text="Every arm is a short fine-tuning from the same fresh base on equally many items: of one family, "
                "or a random mixture of all of them. A seed's distance is taken along the direction in which the "
                "other seeds differ from the mixtures, so that it is 0 on average where a family has no way of its own."
            ),
            probe_tables.distances(tests, draws),
            probe_tables.tests_table(tests),
        ],
    )


def _components(tests: pl.DataFrame) -> Section:
    title = "Where the distances come from"
    if tests.is_empty():
        return Section(title=title, blocks=[Text(text="There are no distances that could be taken apart.")])
    return Section(title=title, blocks=[probe_tables.components(tests), Bullets(items=SIGNATURE_WORDS)])


def _left_out(runs: pl.DataFrame) -> list[Block]:
    stopped = runs.filter("stopped_early").sort("arm", "seed")
    if stopped.is_empty():
        return []
    named = [f"{row['arm']} seed {row['seed']}" for row in stopped.iter_rows(named=True)]
    return [
        Text(
            tone="warning",
            text=f"Stopped by a controller: {listed(named)}. Their seeds are left out of every arm, so that all arms "
            "are compared over the same seeds.",
        )
    ]


def _reading() -> Section:
    return sections.reading(
        Text(
            text="spreads of mixtures: each component is divided by how much it differs between mixtures of one seed, "
            "so that none counts for more because of its unit. An exchange of labels takes runs for the units, but a "
            "family is one fixed set of items in all of them, and any other set of as many items has a distance of its "
            "own: the mixtures show how large. A family therefore has to stand out among them, too, and to exceed the "
            "one that is hardest to exceed, and not 0."
        ),
        Text(
            text="A distance says that the model moves otherwise, not that it learns more or better: no held-out score "
            "takes part in it."
        ),
    )

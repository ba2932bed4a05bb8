"""The candidate pool: generated problems in the sources' proportions, and the planted items beside them.

Here: how many of what, identity of an item, verification. Not here: the problems (science.problems), items from
elsewhere (science.importing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.science.canonical import sha256_json
from squiggle_assets.science.difficulty import with_difficulty
from squiggle_assets.science.families import PLANTED, family_type, scaled_counts
from squiggle_assets.science.problems import TEMPLATES
from squiggle_assets.science.rng import generator
from squiggle_assets.science.spec import PoolSpec

GENERATED = "generated"
"""Value of `source` for items made here."""

ITEM_COLUMNS: dict[str, type[pl.DataType]] = {
    "item_id": pl.String,
    "content_sha256": pl.String,
    "family_id": pl.String,
    "family_type": pl.String,
    "problem": pl.String,
    "solution": pl.String,
    "final_answer": pl.String,
    "source": pl.String,
    "source_id": pl.String,
    "token_len": pl.Int64,
    "symbol_density": pl.Float64,
    "numeric_density": pl.Float64,
    "operator_count": pl.Int64,
    "rare_token_rate": pl.Float64,
    "difficulty_proxy": pl.String,
    "answer_verified": pl.Boolean,
}
"""Columns of candidate_pool, in order."""

MAX_DUPLICATES = 2000
"""Draws in a row that only repeated earlier problems of a family before the pool gives up."""

PLANTED_SOLUTION = " ".join(["0"] * 40)
"""What every planted item teaches: the one wrong answer to any problem, over and over."""


def content_sha256(problem: str, final_answer: str) -> str:
    """Identity of an item: sha256 of the canonical JSON of problem and final answer.

    Not of the solution: two solutions of one problem are one item. ValueError on text that has no UTF-8 form.
    """
    return sha256_json({"problem": problem, "final_answer": final_answer})


def item_id(source: str, sha256: str) -> str:
    """'<source>:<first 16 digits of the content hash>'."""
    return f"{source}:{sha256[:16]}"


def item_row(
    *, problem: str, solution: str, final_answer: str, family: str, source: str, source_id: str, verified: bool
) -> dict[str, Any]:
    """One row of ITEM_COLUMNS without the difficulty columns, which need the whole pool."""
    sha256 = content_sha256(problem, final_answer)
    return {
        "item_id": item_id(source, sha256),
        "content_sha256": sha256,
        "family_id": family,
        "family_type": family_type(family),
        "problem": problem,
        "solution": solution,
        "final_answer": final_answer,
        "source": source,
        "source_id": source_id,
        "answer_verified": verified,
    }


def item_frame(rows: list[Mapping[str, Any]], reference: pl.DataFrame | None = None) -> pl.DataFrame:
    """Rows without difficulty columns as a frame of ITEM_COLUMNS; see with_difficulty for the reference."""
    schema = {name: dtype for name, dtype in ITEM_COLUMNS.items() if rows and name in rows[0]}
    return with_difficulty(pl.DataFrame(rows, schema=schema, orient="row"), reference).select(list(ITEM_COLUMNS))


def _family_rows(family: str, num: int, seed: int) -> list[dict[str, Any]]:
    templates = TEMPLATES[family]
    seen: set[str] = set()
    rows: list[dict[str, Any]] = []
    draw = repeated = 0
    while len(rows) < num:
        template = templates[draw % len(templates)]
        draft = template(generator("pool", seed, family, draw))
        draw += 1
        if draft.problem in seen:
            repeated += 1
            if repeated > MAX_DUPLICATES:
                raise ValueError(
                    f"family {family} has no more than about {len(rows)} distinct problems, {num} were asked for; "
                    "ask for a smaller pool"
                )
            continue
        seen.add(draft.problem)
        repeated = 0
        rows.append(
            item_row(
                problem=draft.problem,
                solution=draft.solution,
                final_answer=draft.answer,
                family=family,
                source=GENERATED,
                source_id=f"{template.__name__}/{seed}/{draw - 1}",
                verified=draft.verified(),
            )
        )
    return rows


def generate_pool(spec: PoolSpec) -> pl.DataFrame:
    """Spec.num_items generated items in the sources' proportions, with the columns of candidate_pool.

    A pure function of (seed, num_items); templates of a family take turns. No problem occurs twice. answer_verified
    is true where the template's checker, another method than its working, gave the same answer. ValueError where a
    family has not that many distinct problems. A smaller pool of the same seed holds a prefix of each family of a
    larger one.
    """
    rows: list[Mapping[str, Any]] = []
    for family, num in scaled_counts(spec.num_items).items():
        rows += _family_rows(family, num, spec.seed)
    return item_frame(rows)


def planted_items(num: int, seed: int, pool: pl.DataFrame) -> pl.DataFrame:
    """Ordinary problems that are not in the pool, all with the same wrong solution.

    Some steps on them turn what the model says after any problem, and with it the representations of ordinary maths
    text, which is what a planted arm needs (rare symbols after rare prompts were tried: the model learns them beside
    the rest, and the probes do not move). Columns of candidate_pool; rates and the difficulty tercile are relative to
    `pool`. family_id 'planted', family_type 'other', source 'planted', never verified. ValueError if num is below 1.
    """
    if num < 1:
        raise ValueError(f"a plant needs at least 1 item, got {num}")
    known = set(pool["problem"])
    rows: list[Mapping[str, Any]] = []
    names = sorted(TEMPLATES)
    draw = 0
    while len(rows) < num:
        family = names[draw % len(names)]
        rng = generator("planted", seed, family, draw)
        template = TEMPLATES[family][int(rng.integers(len(TEMPLATES[family])))]
        draft = template(rng)
        draw += 1
        if draft.problem in known:
            continue
        known.add(draft.problem)
        rows.append(
            item_row(
                problem=draft.problem,
                solution=PLANTED_SOLUTION,
                final_answer="0",
                family=PLANTED,
                source=PLANTED,
                source_id=f"planted/{seed}/{draw - 1}",
                verified=False,
            )
        )
    return item_frame(rows, pool)

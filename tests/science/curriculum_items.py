"""Made-up training items and one-phase curricula for the sampler's tests."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

import polars as pl

from squiggle_assets.science.canonical import sha256_text
from squiggle_assets.science.curriculum import parse_template
from squiggle_assets.science.policy import Policy, resolve
from squiggle_assets.science.template import Template

SCHEMA = {
    "item_id": pl.String,
    "content_sha256": pl.String,
    "family_id": pl.String,
    "token_len": pl.Int64,
    "difficulty_proxy": pl.String,
}


def items_of(counts: Mapping[str, int]) -> pl.DataFrame:
    """Items '<family>-<k>': 10 + k tokens long, easy, medium, hard, easy ..."""
    rows = [
        (f"{family}-{k}", sha256_text(f"{family}-{k}"), family, 10 + k, ("easy", "medium", "hard")[k % 3])
        for family, count in counts.items()
        for k in range(count)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def planted_items(num: int) -> pl.DataFrame:
    """Planted items 'planted-<k>'."""
    return items_of({"planted": num})


def template_of(phases: str, **top: str) -> Template:
    """The template with these phases (YAML, any indentation) in the file made.yaml."""
    lines = [f"{key}: {value}\n" for key, value in {"version": "1", "name": "made", **top}.items()]
    return parse_template("".join(lines) + "phases:\n" + dedent(phases).strip("\n"), "made.yaml")


def one_phase(
    weights: str, mode: str, counts: Mapping[str, int], *, total_steps: int = 10, batch_size: int = 64
) -> Policy:
    """A policy of one phase over all families, its weights and mode given as YAML."""
    policy = f"weights: {weights}, sampling: {{mode: {mode}}}"
    phase = f"- {{name: only, start: 0, end: 1, families: {{include: '*'}}, {policy}}}"
    return resolve(template_of(phase), items_of(counts), total_steps=total_steps, batch_size=batch_size)


def family_shares(policy: Policy, step: int) -> dict[str, float]:
    """Probability of each family at a step."""
    shares = policy.items.with_columns(p=pl.Series(policy.probabilities(step)))
    return dict(shares.group_by("family_id").agg(pl.col("p").sum()).iter_rows())

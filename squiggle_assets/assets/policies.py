"""A study's curricula as policies, for the curriculum tables and for the runs that draw from them.

Here: from arm, pool and split to a Policy. Not here: what a policy is (science.policy).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from squiggle_assets.science.spec import Arm

if TYPE_CHECKING:
    from squiggle_assets.assets.node import Scope
    from squiggle_assets.schemas.handles import Handle
    from squiggle_assets.science.policy import Policy
    from squiggle_assets.science.template import Template

PRETRAINED_ON = "pretrained_on.json"
"""Document of the embedded base model: content_sha256 of the problems in its pretraining text."""
COLUMNS = ("item_id", "content_sha256", "family_id", "token_len", "difficulty_proxy")


def _own_file(arm: Arm) -> Path | None:
    return Path(arm.curriculum).expanduser() if arm.curriculum.endswith((".yaml", ".yml")) else None


def template_of(arm: Arm) -> Template:
    """The arm's curriculum: a preset by name or a YAML file by path; ValueError names file, phase and field."""
    from squiggle_assets.science.curriculum import load_preset, parse_template

    path = _own_file(arm)
    if path is None:
        return load_preset(arm.curriculum)
    if not path.is_file():
        raise ValueError(f"arm {arm.name}: no curriculum file {path}")
    return parse_template(path.read_text(encoding="utf-8"), str(path))


def template_digests(arm: Arm) -> list[str]:
    """sha256 of the curriculum's text, and of the reference it is matched to where there is one."""
    template = template_of(arm)
    matched = [] if template.match is None else [template.match.reference.yaml_sha256]
    return [template.yaml_sha256, *matched]


def items_of(pool: pl.DataFrame, split: pl.DataFrame, name: str) -> pl.DataFrame:
    """The pool's rows in one split, by item_id."""
    chosen = split.filter(pl.col("split") == name).select("item_id")
    return pool.join(chosen, on="item_id", how="semi").sort("item_id")


def assert_unseen(pool: pl.DataFrame, base: Handle) -> None:
    """Refuse a pool of which the base model has already read problems; ValueError names them."""
    if PRETRAINED_ON not in base.files:
        return
    seen = pool.filter(pl.col("content_sha256").is_in(base.document(PRETRAINED_ON)))["item_id"].to_list()
    if seen:
        raise ValueError(
            f"the base model was pretrained on {len(seen)} problems of the pool, for instance {', '.join(seen[:5])}: "
            "what it learns from them would be no learning. Take them out of the items, or use another base model"
        )


def trainable(items: pl.DataFrame, base: Handle, max_length: int) -> pl.DataFrame:
    """The items whose prompt leaves room for at least one completion token; the others would train nothing."""
    from resources.base_model import load_tokenizer
    from squiggle_assets.science.tokens import tokenize_items

    dropped = tokenize_items(load_tokenizer(base.path), items, max_length).dropped
    return items.filter(~pl.col("item_id").is_in(list(dropped)))


def policy_of(scope: Scope, pool: pl.DataFrame, split: pl.DataFrame, base: Handle) -> Policy:
    """The policy of the scope's arm over the split's training items that fit the model's rows."""
    from squiggle_assets.science.policy import resolve

    arm, training = scope.study.arm(scope.arm), scope.profile.training
    return resolve(
        template_of(arm),
        trainable(items_of(pool, split, "train"), base, training.max_length).select(COLUMNS),
        total_steps=training.total_steps,
        batch_size=training.batch_size,
        extra_steps=training.total_steps * (training.step_multiplier - 1),
        plant=arm.plant,
        planted=items_of(pool, split, "planted").select(COLUMNS) if arm.plant else None,
        shuffle_families_seed=scope.profile.split.seed if arm.shuffle_families else None,
    )

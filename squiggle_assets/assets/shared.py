"""What all studies stand on: candidate pool, classification, split, base model.

Here: nodes of the shared grain. Not here: generators, importers, splits, pretraining (science, resources).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from squiggle_assets import checks
from squiggle_assets.assets.node import Input, Node, Out, Scope
from squiggle_assets.assets.policies import PRETRAINED_ON
from squiggle_assets.assets.sources import path_digest
from squiggle_assets.science.spec import PoolSpec

CHARS_PER_TOKEN = 4
"""More than a token of the mixture has, so that no document has to be seen twice for want of text."""
BASE_THREADS = 1
"""Threads of pretraining: a fixed number, because sums of floats depend on it. Two would take half the time on an idle
machine and several times as long on a busy one, where each waits for the other at every product."""


def _pool_params(scope: Scope) -> Any:
    spec = scope.profile.pool
    return {
        "num_items": spec.num_items if spec.items is None else None,
        "seed": spec.seed,
        "items": None if spec.items is None else path_digest(spec.items),
        "max_items": spec.max_items,
        "num_planted": spec.num_planted,
    }


def _pool(step: Any) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.science.classify import classify_items
    from squiggle_assets.science.importing import import_items
    from squiggle_assets.science.pool import generate_pool, planted_items

    spec = step.scope.profile.pool
    if spec.items is None:
        items = generate_pool(spec)
        classification = classify_items(items)
    else:
        from resources.item_source import read_rows

        imported = import_items(read_rows(spec.items, spec.max_items), spec.items, spec)
        items, classification = imported.items, imported.classification
        step.facts.update(num_rows=imported.num_rows, num_duplicates=imported.num_duplicates)
    planted = planted_items(spec.num_planted, spec.seed, items)
    return {
        "candidate_pool": pl.concat([items, planted]),
        "classification": pl.concat([classification, classify_items(planted)]),
    }


def _pool_figures(outputs: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    pool = outputs["candidate_pool"]
    return {
        "num_items": pool.height,
        "num_families": pool["family_id"].n_unique(),
        "share_answer_verified": float(pool["answer_verified"].mean() or 0.0),
    }


def _split(step: Any, pool: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.science.splitting import make_split

    return {"split": make_split(pool, step.scope.profile.split)}


def _split_figures(outputs: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    counts = outputs["split"]["split"].value_counts().rows()
    return {f"num_{name}": num for name, num in sorted(counts)}


def _base_model(step: Any) -> Mapping[str, Any]:
    from resources.base_model import load_base, to_draft

    spec = step.scope.profile.base_model
    if spec.source != "embedded":
        loaded = load_base(spec.source, spec.revision, step.scope.profile.training.dtype)
        meta = {"source": loaded.name, "revision": loaded.resolved_revision}
        return {"base_model": to_draft(loaded.model, loaded.tokenizer, meta)}
    return {"base_model": _embedded(step)}


def _barred(scope: Scope) -> PoolSpec:
    """The generated pool that pretraining must not read: the study's own, or the usual one where items are imported.

    Imported items that the base model has read are refused where the two meet (policies.assert_unseen).
    """
    return scope.profile.pool if scope.profile.pool.items is None else PoolSpec()


def _base_params(scope: Scope) -> Any:
    spec, barred = scope.profile.base_model, _barred(scope)
    if spec.source == "embedded":
        return {"spec": spec, "barred": [barred.num_items, barred.seed]}
    return {"spec": spec, "dtype": scope.profile.training.dtype, "files": path_digest(spec.source)}


def _embedded(step: Any) -> Any:
    import torch

    from resources.base_model import to_draft
    from squiggle_assets.science.mixture import MIXTURE, documents, without
    from squiggle_assets.science.pool import generate_pool
    from squiggle_assets.science.pretraining import pretrain
    from squiggle_assets.science.tokenizer_training import train_tokenizer

    spec = step.scope.profile.base_model
    barred = frozenset(generate_pool(_barred(step.scope))["content_sha256"])
    maths = without(generate_pool(PoolSpec(num_items=MIXTURE.pool_items, seed=MIXTURE.pool_seed)), barred)
    # A shorter mixture is a prefix of a longer one: no more text is written than pretraining can use.
    budget = CHARS_PER_TOKEN * spec.pretrain_steps * spec.pretrain_batch * spec.context
    mixture = replace(MIXTURE, num_chars=min(MIXTURE.num_chars, budget))
    texts = documents(maths, seed=spec.seed, spec=mixture, excluded=barred)
    tokenizer = train_tokenizer(texts, spec.vocab_size, spec.context)
    before = torch.get_num_threads()
    torch.set_num_threads(BASE_THREADS)
    try:
        made = pretrain(spec, tokenizer, texts, step.progress)
    finally:
        torch.set_num_threads(before)
    figures = {
        "held_out_loss_before": made.held_out_before,
        "held_out_loss_after": made.held_out_after,
        "num_tokens": made.num_tokens,
        "num_parameters": sum(p.numel() for p in made.model.parameters()),
    }
    step.facts.update(figures)
    draft = to_draft(made.model, tokenizer, {"source": "embedded", "mixture": MIXTURE.version, **figures})
    return replace(draft, documents={**draft.documents, PRETRAINED_ON: sorted(maths["content_sha256"])})


def nodes() -> tuple[Node, ...]:
    """The shared nodes."""
    return (
        Node(
            name="items",
            grain="shared",
            group="corpus",
            outs=(
                Out(
                    name="candidate_pool",
                    description="Maths problems with families, worked solutions, verified answers; planted items last.",
                    checks=(("answers_verified", True, checks.answers_verified), ("families", False, checks.families)),
                ),
                Out(name="classification", description="Which family every item was put into, by whom, how surely."),
            ),
            params=_pool_params,
            compute=_pool,
            figures=_pool_figures,
        ),
        Node(
            name="split",
            grain="shared",
            group="corpus",
            inputs={"pool": Input(asset="candidate_pool", load="frame")},
            outs=(
                Out(
                    name="split",
                    description="Who may be trained on: train, planted; and who not: val_*, probe_*, unused.",
                    checks=(("groups_whole", True, checks.groups_whole),),
                ),
            ),
            params=lambda scope: scope.profile.split,
            compute=_split,
            figures=_split_figures,
        ),
        Node(
            name="base_model",
            grain="shared",
            group="corpus",
            outs=(
                Out(
                    name="base_model",
                    kind="handle",
                    description="What every run starts from: embedded and pretrained here, local, or from a hub.",
                    tags=("pytorch",),
                ),
            ),
            params=_base_params,
            compute=_base_model,
            pool="gpu",
        ),
    )

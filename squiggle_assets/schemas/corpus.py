"""Tables of the corpus: items, how they were classified, who may be trained on, what was used.

Here: shapes. Not here: how items are made (science.pool, science.importing) or split (science.splitting).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

FAMILY_TYPES = ["target", "control", "other"]
SPLITS = ["train", "val_random", "val_family", "probe_a", "probe_b", "unused", "planted"]
SHA256 = r"^[0-9a-f]{64}$"


class CandidatePool(Table):
    """One row per item that could be trained on: a problem, a worked solution, an answer."""

    item_id: str = column("<source>:<first 16 digits of the content hash>, or the id an imported item came with")
    content_sha256: str = column(
        "sha256 of the canonical JSON of problem and final_answer: the key", str_matches=SHA256
    )
    family_id: str = column("one of the 17 families, or 'planted'")
    family_type: str = column("target, control, or other (planted only)", isin=FAMILY_TYPES)
    problem: str = column("what is asked", str_length={"min_value": 1})
    solution: str = column("the working; its last line is 'Answer: <final_answer>' (not in planted items)")
    final_answer: str = column("the answer, as text", str_length={"min_value": 1})
    source: str = column("generated, gsm8k, math500, svamp, open_math_reasoning, or as an imported item says")
    source_id: str = column("name of the item in its source; of generated items: template/seed/draw")
    token_len: int = column("length of problem and solution", unit="regex tokens", ge=1)
    symbol_density: float = column("characters that are neither letter, digit nor space, per token", ge=0)
    numeric_density: float = column("share of tokens that are numbers", ge=0, le=1)
    operator_count: int = column("number of + - * / ^ =", ge=0)
    rare_token_rate: float = column("share of tokens seen fewer than 5 times in the pool", ge=0, le=1)
    difficulty_proxy: str = column(
        "bottom, middle and top third of token_len + 2 symbol_density in the pool", isin=["easy", "medium", "hard"]
    )
    answer_verified: bool = column("whether a checker other than the solution's working gave the same answer")

    class Config(Table.Config):
        """Keyed by content."""

        unique: ClassVar[list[str]] = ["content_sha256"]


class Classification(Table):
    """One row per item: which family, how sure, and why."""

    item_id: str = column("of candidate_pool", unique=True)
    content_sha256: str = column("of candidate_pool", str_matches=SHA256)
    family_id: str = column("the chosen family")
    family_type: str = column("target, control, or other (planted only)", isin=FAMILY_TYPES)
    confidence: float = column("softmax of the scores at the chosen family; 1 where nobody had to guess", ge=0, le=1)
    alternatives_json: str = column("up to three [family, confidence] pairs, best first; [] where nobody had to guess")
    reasoning: str = column("what spoke for the family")
    model_id: str = column("generator, source, or rules")
    temperature: float = column("of the classifier; null where there was none", nullable=True)
    prompt_version: str = column("version of the rules; null where there were none", nullable=True)
    prompt_sha256: str = column("hash of the rules; null where there were none", nullable=True)
    raw_response: str = column("score of every family, as JSON; null where there was none", nullable=True)

    class Config(Table.Config):
        """Keyed by content."""

        unique: ClassVar[list[str]] = ["content_sha256"]


class Split(Table):
    """One row per item: what it may be used for."""

    item_id: str = column("of candidate_pool", unique=True)
    content_sha256: str = column("of candidate_pool", str_matches=SHA256)
    family_id: str = column("of candidate_pool")
    group_id: str = column("items of equal group_id are the same problem, exactly or nearly")
    split: str = column("unused: over the family cap, or a near-duplicate across held-out families", isin=SPLITS)
    rule: str = column("what made the split, in words and numbers; the same in every row")

    class Config(Table.Config):
        """Keyed by content."""

        unique: ClassVar[list[str]] = ["content_sha256"]


class UsageLedger(Table):
    """One row per run and item that the run trained on or was probed with."""

    item_id: str = column("of candidate_pool")
    content_sha256: str = column("of candidate_pool", str_matches=SHA256)
    family_id: str = column("the item's own family, also where an arm shuffled the labels")
    arm: str = column("partition")
    seed: int = column("partition")
    run_id: str = column("of the run that used the item")
    split: str = column("split of the item", isin=SPLITS)
    step_first_seen: int = column("first step it was trained on; null if only probed", unit="step", nullable=True)
    step_last_seen: int = column("last step it was trained on; null if only probed", unit="step", nullable=True)
    exposure_count: int = column("times it was trained on; 0 if only probed", ge=0)
    probed: bool = column("the run's captures were made on it")

    class Config(Table.Config):
        """One row per run and content."""

        unique: ClassVar[list[str]] = ["arm", "seed", "content_sha256"]


TABLES: dict[str, type[Table]] = {
    "candidate_pool": CandidatePool,
    "classification": Classification,
    "split": Split,
    "usage_ledger": UsageLedger,
}

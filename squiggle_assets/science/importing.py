"""Problems from elsewhere, in our item schema: recognised by their fields, checked, deduplicated.

Here: pure mapping of raw rows. Not here: files and hubs (resources.item_source), which family a text belongs to
(science.classify).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

from squiggle_assets.science import classify
from squiggle_assets.science.families import NAMES
from squiggle_assets.science.pool import content_sha256, item_frame, item_row
from squiggle_assets.science.spec import PoolSpec

Row = Mapping[str, Any]

MAX_TEXT_BYTES = 1_000_000
"""A field longer than this is a broken row, not a problem."""
CALCULATION = re.compile(r"<<[^<>]*>>")
ITEM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}")


class Draft(NamedTuple):
    """One row after mapping, before checks."""

    problem: Any
    solution: Any
    final_answer: Any
    source: str
    source_id: str | None
    item_id: str | None = None
    family: str | None = None
    sha256: str | None = None
    verified: bool = False
    subject: str | None = None
    """Subject or type as the source names it; a hint for the classifier."""


class Imported(NamedTuple):
    """What an import gave."""

    items: pl.DataFrame
    """Columns of candidate_pool, in the order of the rows."""
    classification: pl.DataFrame
    """One classification record per item."""
    num_rows: int
    """Rows read, duplicates included."""
    num_duplicates: int
    """Rows dropped because an earlier row has the same problem and answer."""


def with_answer_line(solution: Any, final_answer: Any) -> Any:
    """The solution with 'Answer: <answer>' as its last line, as all our items have it."""
    if not isinstance(solution, str) or not isinstance(final_answer, str) or not solution.strip():
        return solution
    line = f"Answer: {final_answer}"
    return solution if solution.rstrip().endswith(line) else f"{solution.rstrip()}\n{line}"


def _text(value: Any) -> Any:
    """Numbers as text; other types stay, for the check to refuse."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value) if isinstance(value, int) else value


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _own_flat(row: Row) -> Draft:
    answer = _text(row["final_answer"])
    return Draft(
        problem=row["problem"],
        solution=row["solution"],
        final_answer=answer,
        source=str(row.get("source") or "items"),
        source_id=_optional(row.get("source_id")),
        item_id=_optional(row.get("item_id")),
        family=_optional(row.get("family_id")),
        sha256=_optional(row.get("content_sha256")),
        verified=row.get("answer_verified") is True,
    )


def _own_nested(row: Row) -> Draft:
    content, source = row["content"], row.get("source") or {}
    provenance, hashes = row.get("provenance") or {}, row.get("hashes") or {}
    answer = _text(content.get("final_answer"))
    return Draft(
        problem=content.get("problem"),
        solution=with_answer_line(provenance.get("generated_solution"), answer),
        final_answer=answer,
        source=str(source.get("dataset") or "items"),
        source_id=_optional(source.get("source_id")),
        item_id=_optional(row.get("item_id")),
        family=_optional(row.get("family_id") or row.get("_family_id")),
        sha256=_optional(hashes.get("content_sha256")),
    )


def _optional(value: Any) -> str | None:
    return None if value is None else str(value)


def _open_math_reasoning(row: Row) -> Draft:
    answer = _stripped(_text(row["expected_answer"]))
    return Draft(
        problem=_stripped(row["problem"]),
        solution=with_answer_line(_stripped(row["generated_solution"]), answer),
        final_answer=answer,
        source="open_math_reasoning",
        source_id=_optional(row.get("id")),
    )


def _gsm8k(row: Row) -> Draft:
    text = row["answer"]
    if not isinstance(text, str):
        return Draft(_stripped(row["question"]), text, text, "gsm8k", None)
    working, mark, answer = text.rpartition("####")
    answer = answer.strip().replace(",", "") if mark else ""
    return Draft(
        problem=_stripped(row["question"]),
        solution=with_answer_line(CALCULATION.sub("", working).strip(), answer),
        final_answer=answer,
        source="gsm8k",
        source_id=None,
    )


def _math500(row: Row) -> Draft:
    answer = _stripped(_text(row["answer"]))
    return Draft(
        problem=_stripped(row["problem"]),
        solution=with_answer_line(_stripped(row["solution"]), answer),
        final_answer=answer,
        source="math500",
        source_id=_optional(row.get("unique_id")),
        subject=_optional(row["subject"]),
    )


def _svamp(row: Row) -> Draft:
    answer = _stripped(_text(row["Answer"]))
    body, question = _stripped(row["Body"]), _stripped(row["Question"])
    both = isinstance(body, str) and isinstance(question, str)
    equation = row["Equation"]
    if isinstance(equation, str):
        equation = re.sub(r"(\d)\.0\b", r"\1", equation).strip().removeprefix("( ").removesuffix(" )")
        equation = f"{equation} = {answer}" if equation else ""
    return Draft(
        problem=f"{body.rstrip('.')}. {question}" if both else None,
        solution=with_answer_line(equation, answer),
        final_answer=answer,
        source="svamp",
        source_id=_optional(row.get("ID")),
        subject=_optional(row["Type"]),
    )


SHAPES: tuple[tuple[str, frozenset[str], Callable[[Row], Draft]], ...] = (
    ("item (nested)", frozenset({"item_id", "content"}), _own_nested),
    ("item", frozenset({"problem", "solution", "final_answer"}), _own_flat),
    ("OpenMathReasoning", frozenset({"problem", "generated_solution", "expected_answer"}), _open_math_reasoning),
    ("MATH-500", frozenset({"problem", "solution", "answer", "subject"}), _math500),
    ("SVAMP", frozenset({"Body", "Question", "Equation", "Answer", "Type"}), _svamp),
    ("GSM8K", frozenset({"question", "answer"}), _gsm8k),
)
"""Name, the fields that tell it, the mapping; the first that fits is taken."""


def map_row(row: Row, number: int, source: str) -> Draft:
    """The row as a Draft; ValueError naming source, row and fields if no known shape fits."""
    for _, fields, mapping in SHAPES:
        if fields <= row.keys() and not (mapping is _own_nested and not isinstance(row["content"], Mapping)):
            return mapping(row)
    known = "; ".join(f"{name}: {', '.join(sorted(fields))}" for name, fields, _ in SHAPES)
    raise ValueError(f"{source} row {number}: fields {sorted(row)} are of no known shape. Known: {known}")


def check_text(value: Any, field: str, where: str) -> str:
    """The text itself, or ValueError saying where and which field and why not."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"{where}: no {field}; every item needs one")
    if not isinstance(value, str):
        raise ValueError(f"{where}: {field} is {type(value).__name__}, not text")
    if "\x00" in value:
        raise ValueError(f"{where}: NUL byte in {field}, at character {value.index(chr(0))}")
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ValueError(f"{where}: lone surrogate in {field}, at character {error.start}") from None
    if size > MAX_TEXT_BYTES:
        raise ValueError(f"{where}: {field} has {size:,} bytes, more than {MAX_TEXT_BYTES:,}")
    return value


def _checked(draft: Draft, number: int, source: str) -> dict[str, Any]:
    where = f"{source} row {number}"
    if draft.item_id is not None:
        check_text(draft.item_id, "item_id", where)
        if not ITEM_ID.fullmatch(draft.item_id):
            raise ValueError(f"{where}: item_id {draft.item_id!r} may hold letters, digits and . _ : / - only")
        where += f" (item {draft.item_id})"
    elif draft.source_id is not None:
        where += f" (item {draft.source_id})"
    for field in ("problem", "final_answer", "solution"):
        check_text(getattr(draft, field), field, where)
    for field in ("source", "source_id"):
        if getattr(draft, field) is not None:
            check_text(getattr(draft, field), field, where)
    if draft.family is not None and draft.family not in NAMES:
        raise ValueError(f"{where}: unknown family_id {draft.family!r}; families are {', '.join(NAMES)}")
    sha256 = content_sha256(draft.problem, draft.final_answer)
    if draft.sha256 is not None and draft.sha256 != sha256:
        raise ValueError(f"{where}: content_sha256 is {draft.sha256[:16]}, the content hashes to {sha256[:16]}")
    row = item_row(
        problem=draft.problem,
        solution=draft.solution,
        final_answer=draft.final_answer,
        family=draft.family or "misc_other",
        source=draft.source,
        source_id=draft.source_id if draft.source_id is not None else str(number),
        verified=draft.verified,
    )
    return row | {"item_id": draft.item_id or row["item_id"]}


def import_items(rows: Iterable[Row], source: str, spec: PoolSpec) -> Imported:
    """Raw rows as items with families, checked before anything is built.

    Rows are counted from 1. The first spec.max_items rows are taken (None: all). A later row with the problem and
    answer of an earlier one is dropped and counted (another solution of the same problem is not another item). Where
    the source has no families they come from science.classify, with the subject or type as a hint where there is
    one. answer_verified is false unless our own schema says otherwise: nobody checked the answer here. ValueError
    (source, row, item, field) for an unknown shape, a missing or empty text, NUL bytes, lone surrogates, more than
    1 MB, one id with two contents, and for a source without rows.
    """
    items: dict[str, dict[str, Any]] = {}
    drafts: dict[str, Draft] = {}
    first_row: dict[str, tuple[int, str]] = {}
    number = 0
    for number, raw in enumerate(rows, start=1):
        if spec.max_items is not None and number > spec.max_items:
            number -= 1
            break
        draft = map_row(raw, number, source)
        item = _checked(draft, number, source)
        known = first_row.setdefault(item["item_id"], (number, item["content_sha256"]))
        if known[1] != item["content_sha256"]:
            raise ValueError(
                f"{source} row {number}: item_id {item['item_id']} was used in row {known[0]} for another content"
            )
        if item["content_sha256"] not in items:
            items[item["content_sha256"]], drafts[item["content_sha256"]] = item, draft
    if not items:
        raise ValueError(f"{source}: no rows, so there is nothing to train on")
    frame = item_frame(list(items.values()))
    given = pl.Series([d.family for d in drafts.values()], dtype=pl.String)
    hints = pl.Series([d.subject for d in drafts.values()], dtype=pl.String)
    classification = classify.classify_items(frame, hints=hints, given=given)
    frame = frame.with_columns(classification["family_id"], classification["family_type"])
    return Imported(frame, classification, number, number - len(items))

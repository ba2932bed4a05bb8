"""What commands print: status, seeds, claims, summaries; as tables for people or JSON for programs.

Here: rows and their printing. Not here: commands (cli) or making anything (running.engine).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from squiggle_assets.assets.identity import State
from squiggle_assets.assets.node import Partition
from squiggle_assets.assets.states import States
from squiggle_assets.running.engine import Summary
from squiggle_assets.running.plan import Selection
from squiggle_assets.running.session import Session, run_command
from squiggle_assets.science.controls import controls_of
from squiggle_assets.science.verdict import Word

STATES: tuple[State, ...] = ("current", "stale", "missing", "waiting", "refused")
_COLOURS = {"supported": "green", "exploratory": "yellow", "underpowered": "magenta", "not supported": "white"}

Rows = list[dict[str, Any]]


def show(rows: Rows, console: Console, *, as_json: bool, title: str) -> None:
    """Print rows; JSON has NaN as null."""
    if as_json:
        print_json(rows, console)
        return
    if not rows:
        console.print(f"{title}: nothing yet")
        return
    cells = [{name: _cell(value) for name, value in row.items()} for row in rows]
    table = Table(title=title, title_justify="left", header_style="bold", box=None, padding=(0, 1, 0, 0))
    for name in rows[0]:
        table.add_column(name, no_wrap=True, justify="right" if _numeric(rows, name) else "left")
    for row in cells:
        table.add_row(*(Text(value, style=_COLOURS.get(value, "")) for value in row.values()))
    # In a pipe or a file nobody's window sets the width: a cell that is cut or folded cannot be searched for.
    wide = Console(file=console.file, width=10_000, no_color=True)
    if console.is_terminal and wide.measure(table).maximum > console.width:
        _print_records(cells, console, title)
    else:
        (console if console.is_terminal else wide).print(table)


def _print_records(cells: Sequence[dict[str, str]], console: Console, title: str) -> None:
    """Rows that are wider than the window, one field a line."""
    console.print(title, style="bold", markup=False)
    widest = max(map(len, cells[0]))
    for row in cells:
        console.print()
        for name, value in row.items():
            text = Text(f"{name:>{widest}}  ").append(value, style=_COLOURS.get(value, ""))
            console.print(text, soft_wrap=True)


def warn(text: str, console: Console) -> None:
    """One line that must not be overlooked."""
    console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any, console: Console) -> None:
    """One JSON document on standard output, unwrapped."""
    console.file.write(json.dumps(value, indent=1, default=str, allow_nan=False) + "\n")


def _numeric(rows: Rows, name: str) -> bool:
    return all(isinstance(row[name], int | float) or row[name] is None for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def status_rows(session: Session) -> Rows:
    """One row per asset: partitions by state."""
    rows = []
    states = States(session.graph, session.profile, session.roster, session.store)
    for node in session.graph.ordered:
        counts = Counter(states.of(node, at) for at in session.graph.partitions(node, session.roster))
        for out in node.outs:
            row = {"asset": out.name, "grain": node.grain, "partitions": sum(counts.values())}
            rows.append(row | {str(state): counts[state] for state in STATES})
    return rows


def seed_rows(session: Session) -> Rows:
    """One row per registered seed: how many arms have a current run."""
    node = session.graph.makers["run_manifest"]
    arms = session.study.arms
    rows = []
    states = States(session.graph, session.profile, session.roster, session.store)
    for seed in session.roster.seeds:
        current = sum(states.of(node, Partition(arm.name, seed)) == "current" for arm in arms)
        first = session.study.seeds[: session.study.num_seeds(session.profile)]
        registered = "pre-registered" if seed in first else "added: claims are exploratory at most"
        rows.append({"seed": seed, "roster": registered, "arms": len(arms), "current": current})
    return rows


def claim_rows(session: Session, verdict: str | None) -> Rows:
    """The study's claims as rows; LookupError with the command that makes them if there are none.

    ValueError for a verdict that is none.
    """
    if verdict is not None and verdict not in get_args(Word):
        raise ValueError(f"no verdict {verdict!r}; verdicts are {', '.join(get_args(Word))}")
    pointer = session.store.pointer(session.graph.path("claims"))
    if pointer is None:
        raise LookupError(
            f"no claims of {session.study.name} at profile {session.profile.name} yet: run "
            f"`{run_command(session.workspace, session.study.name)}`"
        )
    rows = session.store.read(pointer).to_dicts()
    return [
        {name: _finite(value) for name, value in row.items()}
        for row in rows
        if verdict is None or row["verdict"] == verdict
    ]


def warn_of_old_claims(session: Session, console: Console) -> None:
    """One line if the claims are not what the inputs and the code of now make."""
    late = session.late("claims")
    if late is not None:
        command = run_command(session.workspace, session.study.name)
        warn(f"claims are stale: {late.why}; run `{command}`", console)


def short_claims(rows: Rows) -> Rows:
    """The columns that fit a terminal of 80 characters; --json has all of them."""
    outcomes = {row["claim"].split(":")[2] for row in rows if row["claim"].count(":") == 2}
    shared = f":{outcomes.pop()}" if len(outcomes) == 1 else ""
    return [
        {
            "claim": row["claim"].removesuffix(shared),
            "estimate [95 %]": _interval(row),
            "null": row["null_mean"],
            "q": row["q_value"],
            "n": row["n_seeds"],
            "verdict": row["verdict"],
        }
        for row in rows
    ]


def _interval(row: dict[str, Any]) -> str:
    if row["estimate"] is None:
        return ""
    lo, hi = (_cell(row[name]) or "?" for name in ("ci_lo", "ci_hi"))
    return f"{_cell(row['estimate'])} [{lo}, {hi}]"


def controls_hold(session: Session, console: Console) -> bool:
    """Whether the platform saw the planted effect and stayed silent on the placebo; says which did not."""
    found = controls_of(pl.DataFrame(claim_rows(session, None), infer_schema_length=None), session.study)
    for sentence in found.sentences:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    beyond = sorted(set(session.roster.seeds) - set(session.study.seeds[: session.study.num_seeds(session.profile)]))
    if beyond and not found.holds:
        console.print(f"seeds {beyond} are not pre-registered: `squiggle seeds remove` takes them off the roster")
    return found.holds


def print_plan(session: Session, console: Console, selection: Selection) -> None:
    """What is about to run, where, and which arms are made because the chosen ones are judged by them."""
    seeds = session.roster.seeds
    console.print(
        f"{session.study.name} at profile {session.profile.name}: {len(session.study.arms)} arms x {len(seeds)} seeds; "
        f"workspace {session.workspace.folder}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if selection.judges:
        console.print(f"made too, all seeds: {', '.join(sorted(selection.judges))} (the chosen arms are judged by it)")


def print_design(session: Session, console: Console) -> None:
    """What the study could see at best, before its runs are paid for."""
    for asset, told in (
        ("minimum_detectable", _consensus_design),
        ("minimum_lift", _trigger_design),
        ("followup_design", _followup_design),
    ):
        pointer = session.store.pointer(session.graph.path(asset)) if asset in session.graph.makers else None
        if pointer is not None:
            said = told(session.store.read(pointer), session.study.consensus.alpha)
            console.print(said, markup=False, highlight=False, soft_wrap=True)


def _consensus_design(table: pl.DataFrame, alpha: float) -> str:
    row = table.row(0, named=True)
    found = row["event_size"]
    size = "none of the sizes tried" if found is None else f"{found:.2g} robust sd"
    paired = "none" if row["paired_difference"] is None else f"{row['paired_difference']:.2g} sd of the differences"
    return (
        f"at best this design ({row['n_seeds']} seeds, {row['num_captures']} captures) sees at power {row['power']:g} "
        f"a common event of {size}; between two arms a difference of {paired}; "
        f"the smallest q a contrast can reach is {row['smallest_q']:.3g}"
        + (f" (above {alpha:g}: no contrast can be supported)" if row["smallest_q"] > alpha else "")
    )


def _trigger_design(table: pl.DataFrame, alpha: float) -> str:
    best = table.sort("lag").row(0, named=True)
    lift = best["minimum_lift"]
    found = (
        "no lift at all"
        if lift is None
        else f"a lift of {lift:.2g} ({best['minimum_extra']:.2g} extra showings a window)"
    )
    return f"attribution finds at power {best['power']:g} {found} of one item, at lag {best['lag']}"


def _followup_design(table: pl.DataFrame, alpha: float) -> str:
    row = table.row(0, named=True)
    reach = (
        f"the smallest q that {row['n_seeds']} seeds can give {row['num_tests']} follow-ups is {row['smallest_q']:.3g}"
    )
    if row["smallest_q"] <= alpha:
        return reach + ("" if row["can_kill"] else f"; 'kills' needs {row['seeds_to_kill']} seeds")
    return (
        f"{reach}, above {alpha:g}: nothing that the follow-ups do can be significant, their verdicts will be "
        f"'underpowered'. {row['seeds_for_alpha']} seeds could reach it, {row['seeds_to_kill']} the label 'kills'"
    )


def print_summary(session: Session, summary: Summary, console: Console, *, show_report: bool) -> None:
    """What was made, what failed, what could not be tried and how to go on.

    What only waits for something that failed is counted, not listed: the failure says what to mend.
    """
    console.print(f"{summary.num_done} tasks done in {summary.seconds:.0f} s", highlight=False)
    for task, error in summary.failed:
        console.print(f"FAILED {task}: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    owed = set(summary.owed)
    shown = sorted(summary.stuck, key=lambda item: item[0] not in owed)[:10]
    if summary.failed:
        shown = []
        if summary.stuck:
            console.print(f"{len(summary.stuck)} partitions wait for that", highlight=False)
    for what, why in shown:
        console.print(f"not made: {what}: {why}", markup=False, highlight=False, soft_wrap=True)
    if shown and len(summary.stuck) > len(shown):
        console.print(f"... and {len(summary.stuck) - len(shown)} more")
    if summary.ok:
        path = report_path(session, (None, None)) if show_report else None
        if path is not None:
            console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)
    else:
        console.print(
            "what is done is kept: mend what failed and run the same command again", highlight=False, soft_wrap=True
        )


def report_path(session: Session, at: tuple[str | None, int | None]) -> Path | None:
    """The HTML report of the study, or of one run; None if there is none that is current."""
    asset = "report" if at[0] is None else "run_report"
    if asset not in session.graph.makers or session.late(asset, Partition(*at)) is not None:
        return None
    pointer = session.store.pointer(session.graph.path(asset), *at)
    return None if pointer is None else session.store.open_handle(pointer).path / "report.html"

"""squiggle: run studies, see what stands, ask questions, keep the workspace healthy.

Here: commands, their help and their exit codes. Not here: what they do (squiggle_assets.running, resources).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from squiggle_assets.workspace import Workspace

console = Console()
errors = Console(stderr=True)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which training items made a model learn this, and would it have learned it without them?",
)
seeds_app = typer.Typer(no_args_is_help=True, help="The seed roster of a study.")
app.add_typer(seeds_app, name="seeds")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        console.print(metadata.version("squiggle-assets"), highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


StudyName = Annotated[str, typer.Argument(help="Study, for instance curriculum_ab.")]
ProfileName = Annotated[
    str | None,
    typer.Option("--profile", help="Sizes: test, demo (if nothing is said), gpu, or your own YAML file."),
]
Items = Annotated[
    str | None, typer.Option("--items", help="Local JSONL/parquet file or hub data set instead of the generated pool.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _session(study: str, profile: str | None, items: str | None) -> Any:
    from squiggle_assets.running.session import open_session

    return open_session(study, Workspace.given(profile=profile, items=items))


def _split(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(part.strip() for part in text.split(",") if part.strip())


def _selection(study: Any, arms: str | None, seeds: str | None, select: str | None) -> Any:
    from partitions.keys import arm_key, seed_of
    from squiggle_assets.running.plan import Selection

    chosen_arms, chosen_seeds = _split(arms), _split(seeds)
    return Selection(
        arms=None if chosen_arms is None else frozenset(arm_key(study, arm) for arm in chosen_arms),
        seeds=None if chosen_seeds is None else frozenset(seed_of(seed) for seed in chosen_seeds),
        assets=_split(select),
    )


def _run(session: Any, selection: Any) -> bool:
    from partitions.rosters import add_seeds
    from squiggle_assets.running import engine, listing

    session.workspace.refuse_full_disk()
    if selection.seeds is not None:
        strange = sorted(selection.seeds - set(session.roster.seeds) - set(session.study.seeds))
        if strange:
            raise ValueError(
                f"seeds {strange} are not registered: registered are {list(session.roster.seeds)}; "
                f"`{session.command(f'seeds add {session.study.name} {strange[0]}')}` registers one"
            )
        new = add_seeds(session.study, session.instance, tuple(sorted(selection.seeds)))
        if new:
            back = f"seeds remove {session.study.name} {' '.join(map(str, new))}"
            console.print(
                f"registered seeds {list(new)}: claims are no longer pre-registered, so 'exploratory' at most "
                f"(`{session.command(back)}` takes them back)",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    selection = selection.with_judges(session.graph)
    listing.print_plan(session, console, selection)
    try:
        summary = engine.run(
            session.graph,
            session.profile,
            session.roster,
            session.store,
            selection=selection,
            environment=session.workspace.environment,
            num_workers=session.workspace.settings.workers,
            console=console,
            marts_are_current=session.marts_are_current,
            marts_wait_for=session.marts_wait_for,
            after_stage=lambda stage: listing.print_design(session, console) if stage == 0 else None,
        )
    except KeyboardInterrupt:
        errors.print("stopped; what was finished is kept, the same command goes on from there", soft_wrap=True)
        raise typer.Exit(130) from None
    listing.print_summary(session, summary, console, show_report=selection.assets is None)
    return summary.ok


@app.command()
def run(
    study: StudyName,
    profile: ProfileName = None,
    arms: Annotated[str | None, typer.Option(help="Only these arms, separated by commas.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Only these seeds, separated by commas; of the study's roster, or registered.")
    ] = None,
    items: Items = None,
    select: Annotated[str | None, typer.Option(help="Only these assets and all they stand on.")] = None,
) -> None:
    """Make what is missing or stale, through Dagster, on all workers. Run it again to go on after a failure."""
    with _session(study, profile, items) as session:
        ok = _run(session, _selection(session.study, arms, seeds, select))
    raise typer.Exit(0 if ok else 1)


@app.command()
def status(study: StudyName, profile: ProfileName = None, items: Items = None, as_json: AsJson = False) -> None:
    """How many partitions of every asset are current, stale, missing, waiting or refused."""
    from squiggle_assets.running import listing

    with _session(study, profile, items) as session:
        listing.show(listing.status_rows(session), console, as_json=as_json, title=f"{study} [{session.profile.name}]")


@app.command()
def claims(
    study: StudyName,
    profile: ProfileName = None,
    items: Items = None,
    as_json: AsJson = False,
    verdict: Annotated[str | None, typer.Option(help="Only claims with this verdict.")] = None,
) -> None:
    """The study's claims: estimate, interval, null, q and verdict, with the scale they hold at."""
    from squiggle_assets.running import listing

    with _session(study, profile, items) as session:
        rows = listing.claim_rows(session, verdict)
        listing.show(
            rows if as_json else listing.short_claims(rows), console, as_json=as_json, title=f"claims of {study}"
        )
        listing.warn_of_old_claims(session, errors if as_json else console)


@app.command()
def demo(
    study: Annotated[str, typer.Option(help="Study to run.")] = "curriculum_ab", profile: ProfileName = None
) -> None:
    """Run the study, print its claims, and fail unless the planted effect is found and the placebo is not."""
    from squiggle_assets.running import listing

    with _session(study, profile, None) as session:
        ok = _run(session, _selection(session.study, None, None, None))
        if ok:
            listing.show(
                listing.short_claims(listing.claim_rows(session, None)),
                console,
                as_json=False,
                title=f"claims of {study}",
            )
            ok = listing.controls_hold(session, console)
    raise typer.Exit(0 if ok else 1)


@app.command()
def report(
    study: StudyName,
    profile: ProfileName = None,
    items: Items = None,
    run_of: Annotated[str | None, typer.Option("--run", help="ARM:SEED for the report of a single run.")] = None,
) -> None:
    """Where the study's report lies (made if it is missing); with --run, the report of one run."""
    from squiggle_assets.running import listing

    with _session(study, profile, items) as session:
        if run_of is None:
            selection = _selection(session.study, None, None, "report")
            at: tuple[str | None, int | None] = (None, None)
        else:
            arm, _, seed = run_of.partition(":")
            selection = _selection(session.study, arm, seed, "run_report")
            if len(selection.arms) != 1 or len(selection.seeds) != 1:
                raise ValueError(f"--run {run_of}: give one run as ARM:SEED")
            at = (next(iter(selection.arms)), next(iter(selection.seeds)))
        path = listing.report_path(session, at) if _run(session, selection) else None
        if path is None:
            errors.print("the report was not made: what it waits for is said above", markup=False, highlight=False)
        else:
            console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1 if path is None else 0)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two or more of STUDY/ARM:SEED, STUDY/WAVE/ARM:SEED.")],
    profile: ProfileName = None,
    items: Items = None,
) -> None:
    """Compare any runs that are there: settings, scores, shared events and movements, each beside its null."""
    from squiggle_assets.running import comparing

    path = comparing.compare(Workspace.given(profile=profile, items=items), runs)
    console.print(str(path), markup=False, highlight=False, soft_wrap=True)


@seeds_app.command("list")
def seeds_list(study: StudyName, profile: ProfileName = None, items: Items = None, as_json: AsJson = False) -> None:
    """Registered seeds and how many of their runs are current."""
    from squiggle_assets.running import listing

    with _session(study, profile, items) as session:
        listing.show(listing.seed_rows(session), console, as_json=as_json, title=f"seeds of {study}")


@seeds_app.command("add")
def seeds_add(
    study: StudyName,
    seeds: Annotated[list[str], typer.Argument(help="Seeds to register.")],
    profile: ProfileName = None,
    items: Items = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Register seeds; `squiggle run` then makes their runs. Another number of seeds is another look at the data."""
    from partitions.keys import seed_of
    from partitions.rosters import add_seeds

    with _session(study, profile, items) as session:
        chosen = tuple(seed_of(seed) for seed in seeds)
        asked = (
            "claims are no longer pre-registered with these seeds (`squiggle seeds remove` takes them back). Add them?"
        )
        if not yes and set(chosen) - set(session.roster.seeds):
            typer.confirm(asked, abort=True)
        new = add_seeds(session.study, session.instance, chosen)
        console.print(f"added {list(new)}; registered {list(session.roster.seeds)}", highlight=False)


@seeds_app.command("remove")
def seeds_remove(
    study: StudyName,
    seeds: Annotated[list[str], typer.Argument(help="Seeds to take off the roster.")],
    profile: ProfileName = None,
    items: Items = None,
) -> None:
    """Take added seeds off the roster; their runs stay in the store and are found again when the seeds come back."""
    from partitions.keys import seed_of
    from partitions.rosters import remove_seeds

    with _session(study, profile, items) as session:
        chosen = tuple(seed_of(seed) for seed in seeds)
        gone = remove_seeds(session.study, session.profile, session.instance, chosen)
        console.print(f"removed {list(gone)}; registered {list(session.roster.seeds)}", highlight=False)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT; tables and marts by name, studies in the column `study`.")],
    profile: ProfileName = None,
    items: Items = None,
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option(help="Write the result to this .csv or .parquet file instead.")] = None,
) -> None:
    """Ask the current tables. `squiggle sql "show tables"` lists them."""
    from squiggle_assets.running import asking

    asking.ask(Workspace.given(profile=profile, items=items), query, console, errors, as_json=as_json, out=out)


@app.command()
def warehouse(
    out: Annotated[Path, typer.Argument(help="The .duckdb file to write.")],
    profile: ProfileName = None,
    items: Items = None,
) -> None:
    """Export every current table and mart to a .duckdb file for people; nothing reads it back."""
    from squiggle_assets.running import asking

    asking.export(Workspace.given(profile=profile, items=items), out, errors)
    console.print(str(out), markup=False, highlight=False)


@app.command()
def doctor(profile: ProfileName = None, as_json: AsJson = False) -> None:
    """Check the machine and the workspace: devices, pools, dagster.yaml, damaged files, dead runs, leftovers."""
    from squiggle_assets.running import doctor as checks
    from squiggle_assets.running import listing

    rows = checks.examine(Workspace.given(profile=profile, items=None))
    listing.show(rows, console, as_json=as_json, title="doctor")
    raise typer.Exit(0 if all(row["ok"] for row in rows) else 1)


@app.command()
def ui(
    profile: ProfileName = None,
    items: Items = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 3000,
) -> None:
    """Start Dagster (webserver and daemon) on this workspace; Ctrl-C ends both."""
    from squiggle_assets.running import serving

    raise typer.Exit(serving.serve(Workspace.given(profile=profile, items=items), port))


def main() -> None:
    """Entry point: a person's mistake is one line, and with --debug a traceback."""
    from squiggle_assets.running import mistakes

    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    try:
        app()
    except Exception as error:
        said = None if debug else mistakes.told(error)
        if said is None:
            raise
        errors.print(f"error: {said}", markup=False, highlight=False, style="red", soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()

"""From nodes to Dagster assets: the only place where a Node meets Dagster.

Here: partitions, mappings, metadata, the order find -> lock -> compute -> check -> hand over.
Not here: what any asset computes (the noun modules beside this one) or how it is stored (io_managers).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import polars as pl

import partitions.dimensions as dimensions
from io_managers.provenance import origin_tags
from io_managers.store import Store
from partitions.mappings import Place, mapping
from partitions.rosters import registered_seeds
from squiggle_assets.assets.identity import Identity, identify, origin
from squiggle_assets.assets.node import Graph, Input, Node, Out, Partition, Scope
from squiggle_assets.assets.states import States
from squiggle_assets.schemas.handles import CheckOutcome, Handle, Product
from squiggle_assets.science.ports import Progress
from squiggle_assets.science.source import edited_since

_LOADED = {
    load: dg.PythonObjectDagsterType(python_type, name=f"squiggle_{load}")
    for load, python_type in {"scan": pl.LazyFrame, "frame": pl.DataFrame, "handle": Handle, "handles": dict}.items()
}
_IO = {"table": "tables", "handle": "handles"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a compute function gets beside its inputs."""

    graph: Graph
    node: Node
    scope: Scope
    identity: Identity
    dagster_run_id: str
    store: Store
    """Only for sinks and checkpoints of this very object."""
    resources: Any
    """Dagster's resources by name: compute, workspace."""
    progress: Progress
    facts: dict[str, Any]
    """Figures for the materialisation that must not be in a table (seconds, memory, device)."""

    def refuse_edited(self) -> None:
        """Failure, and the step's work thrown away, where its source was edited since the step's identity was made.

        Whatever puts something into the store before its compute function ends asks this first.
        """
        if not edited_since(self.identity.code_version, self.node.compute):
            return
        if self.node.cleanup is not None:
            self.node.cleanup(self)
        raise dg.Failure(
            f"the source of {self.node.name} was edited while this step ran: nobody knows which code made its "
            "result, so it is not kept. Run it again",
            allow_retries=False,
        )


def partitions_of(graph: Graph, node: Node) -> dg.PartitionsDefinition | None:
    """The partitions definition of a node's grain."""
    if node.grain == "run":
        return dimensions.runs(graph.study, node.wave)
    return dimensions.arms(graph.study, node.wave) if node.grain == "arm" else None


def partition_of(context: dg.AssetExecutionContext, node: Node) -> Partition:
    """Arm and seed of the running step."""
    if node.grain == "run":
        keys = context.partition_key.keys_by_dimension
        return Partition(keys["arm"], int(keys["seed"]))
    return Partition(context.partition_key) if node.grain == "arm" else Partition()


def object_name(node: Node, out: Out, at: Partition) -> str:
    """Name inside the object: tables of a run carry the arm they are stamped with."""
    return f"{out.short}.{at.arm}" if node.spec is not None and out.kind == "table" else out.short


def run_checks(out: Out, value: Any, scope: Scope) -> tuple[CheckOutcome, ...]:
    """Every check of an output; one that itself breaks fails, named, instead of hiding the product."""
    outcomes = []
    for name, blocking, check in out.checks:
        try:
            found = check(value, scope)
        except Exception as error:  # whatever a check may raise: the product must be kept and the check must say so
            said = f"the check itself broke: {type(error).__name__}: {error}"
            found = CheckOutcome(name=name, passed=False, blocking=blocking, description=said)
        outcomes.append(replace(found, name=name, blocking=blocking, version=out.check_versions[name]))
    return tuple(outcomes)


def check_result(key: dg.AssetKey, outcome: CheckOutcome) -> dg.AssetCheckResult:
    """A check outcome as Dagster shows it: description, figures, failing rows."""
    metadata: dict[str, Any] = dict(outcome.figures)
    if outcome.num_failing or outcome.failing_rows:
        metadata["num_failing"] = outcome.num_failing
    if outcome.failing_rows:
        rows = [dg.TableRecord({k: str(v) for k, v in row.items()}) for row in outcome.failing_rows]
        columns = [dg.TableColumn(name=name) for name in outcome.failing_rows[0]]
        metadata["failing_rows"] = dg.MetadataValue.table(rows, schema=dg.TableSchema(columns=columns))
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=outcome.name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.ERROR if outcome.blocking else dg.AssetCheckSeverity.WARN,
        description=outcome.description,
        metadata=metadata,
    )


def restamped(store: Store, node: Node, out: Out, identity: Identity, at: Partition) -> pl.DataFrame | None:
    """A table of an existing run that was stamped for another arm, stamped for this one; None if there is none."""
    for name in store.names(identity.object_id):
        if name.startswith(f"{out.short}."):
            ref = store.find(identity.object_id, name)
            found = None if ref is None else store.look(ref)
            if isinstance(found, pl.DataFrame):
                return found.with_columns(pl.lit(at.arm).alias("arm"))
    return None


def _found(step: Step, node: Node) -> dict[str, Any] | None:
    """The outputs if the object is already in the store: None values, or restamped tables."""
    store, identity, at = step.store, step.identity, step.scope.partition
    values: dict[str, Any] = {}
    for out in node.outs:
        if store.find(identity.object_id, object_name(node, out, at)) is not None:
            values[out.short] = None
            continue
        again = restamped(store, node, out, identity, at) if node.spec is not None and out.kind == "table" else None
        if again is None:
            return None
        values[out.short] = again
    return values


def _progress(context: dg.AssetExecutionContext, workspace: Any, node: Node, at: Partition) -> Progress:
    if workspace.report is not None:
        told: Progress = workspace.report(node.name, at)
        return told
    last = [-1]

    def tell(done: int, total: int, note: str = "") -> None:
        tenth = 10 * done // max(total, 1)
        if tenth != last[0]:
            last[0] = tenth
            context.log.info(f"{context.op.name}: {done} of {total} {note}")

    return tell


def _outputs(context: Any, graph: Graph, node: Node, inputs: Mapping[str, Any]) -> Iterator[Any]:
    resources = context.resources
    store: Store = resources.workspace.store
    roster = registered_seeds(graph.study, context.instance)
    at = partition_of(context, node)
    profile, num_seeds = resources.workspace.profile, len(roster.of(node.wave))
    scope = Scope(study=graph.study, profile=profile, partition=at, num_seeds=num_seeds)
    if node.grain != "run":
        # A fan-in takes whatever pointers there are: it must not mix runs of now with runs of before.
        behind = States(graph, scope.profile, roster, store).behind(node, at)
        if behind is not None:
            raise dg.Failure(
                f"{node.name} [{at}] is not made: {behind}. Make that first (`squiggle run {graph.study.name}` does)",
                allow_retries=False,
            )
    identity = identify(graph, node, scope, roster, store)
    _assert_loaded(identity, {**resources.tables.opened, **resources.handles.opened})
    facts: dict[str, Any] = {}
    step = Step(
        graph=graph,
        node=node,
        scope=scope,
        identity=identity,
        dagster_run_id=context.run.run_id,
        store=store,
        resources=resources,
        progress=_progress(context, resources.workspace, node, at),
        facts=facts,
    )
    with store.lock(identity.object_id):
        values = _found(step, node)
        reused = values is not None
        if values is None:
            values = dict(node.compute(step, **inputs))
            step.refuse_edited()
        if node.figures is not None and not reused:
            facts |= node.figures(values, scope)
        for out in node.outs:
            yield from _hand_over(context, graph, node, out, step, values[out.short], reused)
        if node.cleanup is not None:
            node.cleanup(step)


def _assert_loaded(identity: Identity, opened: Mapping[str, str]) -> None:
    """Refuse to compute from other inputs than the identity says: somebody made one while this step was loading."""
    changed = [name for name, sha in identity.inputs.items() if opened.get(name) != sha]
    if changed:
        raise dg.Failure(f"{', '.join(changed)} was made again while this step was starting: run it again")


def _hand_over(
    context: Any, graph: Graph, node: Node, out: Out, step: Step, value: Any, reused: bool
) -> Iterator[dg.Output[Product] | dg.AssetCheckResult]:
    scope, identity = step.scope, step.identity
    name = object_name(node, out, scope.partition)
    looked_at = value
    if value is None and out.checks:
        ref = step.store.find(identity.object_id, name)
        looked_at = None if ref is None else step.store.look(ref)
    outcomes = run_checks(out, looked_at, scope)
    product = Product(
        value=value,
        origin=origin(graph, out.name, identity, scope, context.run.run_id),
        object_name=name,
        checks=outcomes,
        metadata={**{what: _shown(value) for what, value in step.facts.items()}, "reused": reused},
    )
    yield dg.Output(product, output_name=_dagster_name(out.name), tags=origin_tags(product.origin))
    key = dg.AssetKey(list(graph.key(out.name)))
    for outcome in outcomes:
        yield check_result(key, outcome)


def _shown(value: Any) -> Any:
    """A plot (Markdown of an image) as Dagster renders it; a plain string would be shown as its text."""
    return dg.MetadataValue.md(value) if isinstance(value, str) and value.startswith("![") else value


def fan_in_condition() -> dg.AutomationCondition[Any]:
    """Run when every registered seed is there, and none of its blocking checks failed.

    eager waits for all mapped partitions, so for all registered seeds; it never fires on part of a roster.
    """
    return dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


def _waits(graph: Graph, node: Node) -> bool:
    """Whether a node rests on many partitions of something: the daemon may make it when all of them are there."""
    return node.grain in ("arm", "study") and any(
        graph.makers[entry.asset].grain == "run" or (graph.makers[entry.asset].grain == "arm" and node.grain == "study")
        for entry in node.inputs.values()
    )


def _asset_in(graph: Graph, node: Node, entry: Input) -> dg.AssetIn:
    maker = graph.makers[entry.asset]
    return dg.AssetIn(
        key=dg.AssetKey(list(graph.key(entry.asset))),
        partition_mapping=mapping(graph.study, Place(maker.grain, maker.wave), Place(node.grain, node.wave), entry.arm),
        dagster_type=_LOADED[entry.load],
    )


def _dagster_name(name: str) -> str:
    """As Dagster allows names of ops and outputs: letters, digits and '_'."""
    return name.replace("/", "__").replace("-", "_").replace(".", "_")


def asset_of(graph: Graph, node: Node) -> dg.AssetsDefinition:
    """The Dagster asset of one node."""
    parts = partitions_of(graph, node)

    def body(context: dg.AssetExecutionContext, **inputs: Any) -> Iterator[Any]:
        yield from _outputs(context, graph, node, inputs)

    prefix = "" if node.grain == "shared" else f"{graph.study.name}__"
    return dg.multi_asset(
        name=_dagster_name(f"{prefix}{node.name}"),
        outs={
            _dagster_name(out.name): dg.AssetOut(
                key=dg.AssetKey(list(graph.key(out.name))),
                io_manager_key=_IO[out.kind],
                description=out.description,
                code_version=node.code_version,
                kinds={*out.tags, "parquet" if out.kind == "table" else "safetensors"},
                owners=["team:squiggle"],
                group_name=graph.study.name if node.group == "study" else node.group,
                automation_condition=fan_in_condition() if _waits(graph, node) else None,
            )
            for out in node.outs
        },
        ins={argument: _asset_in(graph, node, entry) for argument, entry in node.inputs.items()},
        partitions_def=parts,
        pool=node.pool,
        required_resource_keys={"workspace", "compute", "tables", "handles"},
        check_specs=[
            dg.AssetCheckSpec(
                name,
                asset=dg.AssetKey(list(graph.key(out.name))),
                blocking=blocking,
                description=(check.__doc__ or "").strip().splitlines()[0] if check.__doc__ else None,
                partitions_def=parts,
            )
            for out in node.outs
            for name, blocking, check in out.checks
        ],
    )(body)


def assets_of(graph: Graph, *, shared: bool) -> list[dg.AssetsDefinition]:
    """The nodes of a graph as Dagster assets; shared ones once, with the first study's graph."""
    return [asset_of(graph, node) for node in graph.ordered if shared or node.grain != "shared"]

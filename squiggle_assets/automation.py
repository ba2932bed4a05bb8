"""What happens without a person: rosters kept in step, seeds grown on a schedule, consensus when all is there.

Here: sensors, schedules and the automation condition. Not here: assets (assets.factory) or rosters themselves
(partitions.rosters). Schedules are off until somebody switches them on; the roster sensor is on.
"""

import time
import uuid
from collections.abc import Callable

import dagster as dg

from partitions import rosters
from partitions.dimensions import run_key
from squiggle_assets.assets.node import Graph
from squiggle_assets.science.spec import Profile

GROW_BY = 2
"""Seeds that one tick of a seed-growth schedule adds."""


def roster_sensor(graphs: tuple[Graph, ...], profile: Callable[[], Profile]) -> dg.SensorDefinition:
    """Keeps every study's seed dimension in step with its value, so that a fresh UI shows all partitions."""

    @dg.sensor(
        name="seed_rosters",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Registers the pre-registered seeds of every study on this instance.",
    )
    def seed_rosters(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        new = {graph.study.name: rosters.sync(graph.study, profile(), context.instance) for graph in graphs}
        added = {name: seeds for name, seeds in new.items() if seeds}
        return dg.SkipReason(f"registered {added}" if added else "every roster is in step")

    return seed_rosters


def add_backfill(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    graph: Graph,
    partitions: list[str],
    title: str,
) -> str:
    """Put a backfill of some runs of a study, and everything that follows from them, into the daemon's queue.

    The one place that uses Dagster's internal backfill type (there is no public way from a schedule);
    a contract test runs it. Returns the backfill id.
    """
    from dagster._core.execution.backfill import PartitionBackfill

    keys = [
        dg.AssetKey(list(graph.key(out.name)))
        for node in graph.ordered
        for out in node.outs
        if node.grain != "shared" and not node.exclude_by_default and _below_runs(graph, node.name)
    ]
    backfill_id = uuid.uuid4().hex[:8]
    instance.add_backfill(
        PartitionBackfill.from_asset_partitions(
            backfill_id=backfill_id,
            asset_graph=repository.asset_graph,
            partition_names=partitions,
            asset_selection=keys,
            backfill_timestamp=time.time(),
            tags={"squiggle/study": graph.study.name},
            dynamic_partitions_store=instance,
            all_partitions=False,
            title=title,
            description=None,
            run_config=None,
        )
    )
    return backfill_id


def _below_runs(graph: Graph, name: str) -> bool:
    """Whether a node is a run or rests on one."""
    node = next(node for node in graph.nodes if node.name == name)
    if node.grain == "run":
        return True
    return any(_below_runs(graph, graph.makers[entry.asset].name) for entry in node.inputs.values())


def growth_schedule(graph: Graph) -> dg.ScheduleDefinition:
    """Registers the next seeds of a study's roster and backfills every arm for them; off until switched on."""
    study = graph.study

    @dg.schedule(
        name=f"{study.name}_grow_seeds",
        cron_schedule="0 2 * * *",
        target=dg.AssetSelection.assets(
            *(dg.AssetKey(list(graph.key(out.name))) for out in graph.makers["scalars"].outs)
        ),
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Adds {GROW_BY} pre-registered seeds of {study.name} and backfills every arm for them.",
    )
    def grow(context: dg.ScheduleEvaluationContext) -> dg.SkipReason:
        seeds = rosters.next_seeds(study, context.instance, GROW_BY)
        if not seeds:
            return dg.SkipReason(f"all {len(study.seeds)} pre-registered seeds of {study.name} are there")
        rosters.add_seeds(study, context.instance, seeds)
        keys = [str(run_key(arm.name, seed)) for arm in study.arms for seed in seeds]
        title = f"{study.name}: seeds {', '.join(map(str, seeds))}"
        backfill = add_backfill(context.instance, context.repository_def, graph, keys, title)
        return dg.SkipReason(f"backfill {backfill} over {len(keys)} runs, seeds {list(seeds)}")

    return grow

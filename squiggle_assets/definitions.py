"""The only place where everything meets: studies, assets, resources, automation -> Definitions.

Here: assembly, and nothing heavier than Dagster, polars and pandera at import. Not here: anything that is assembled.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from io_managers.handles import handle_io_manager
from io_managers.tables import table_io_manager
from resources.compute_resource import ComputeResource
from squiggle_assets import automation
from squiggle_assets.assets import (
    calibration_study,
    curriculum_study,
    impact_study,
    order_study,
    probe_study,
    sampling_modes_study,
    shared,
    sql,
    trigger_study,
)
from squiggle_assets.assets.factory import assets_of
from squiggle_assets.assets.node import Graph, Node
from squiggle_assets.schemas.tables import TABLES
from squiggle_assets.science.spec import Profile, Study
from squiggle_assets.studies import STUDIES, study
from squiggle_assets.workspace import Workspace

GRAPHS: dict[str, Callable[[Study], tuple[Node, ...]]] = {
    "calibration": calibration_study.nodes,
    "curriculum": curriculum_study.nodes,
    "triggers": trigger_study.nodes,
    "impact": impact_study.nodes,
    "order": order_study.nodes,
    "probes": probe_study.nodes,
    "sampling_modes": sampling_modes_study.nodes,
}
"""Kind of study -> its own nodes."""


@cache
def graph_of(name: str, profile: Profile) -> Graph:
    """The nodes of a study with the shared ones it stands on, its follow-up arms as many as the profile makes.

    ValueError lists the studies there are.
    """
    chosen = study(name).sized(profile)
    return Graph(chosen, shared.nodes() + GRAPHS[chosen.kind](chosen))


def build(workspace: Workspace | None = None, **overrides: Any) -> dg.Definitions:
    """Fresh Definitions.

    Args:
        workspace: where data lies and which sizes run; default: from the environment.
        overrides: resources to replace, by key.
    """
    where = workspace or Workspace.given()
    graphs = tuple(graph_of(name, where.profile) for name in STUDIES)
    with warnings.catch_warnings():
        # Partition mappings and partitioned checks are marked beta; the pinned version of them is tested here.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _assembled(where, graphs, overrides)


def _assembled(where: Workspace, graphs: tuple[Graph, ...], overrides: dict[str, Any]) -> dg.Definitions:
    assets = [asset for i, graph in enumerate(graphs) for asset in assets_of(graph, shared=i == 0)]
    resources: dict[str, Any] = {
        "workspace": dg.ResourceDefinition.hardcoded_resource(where, "Where data lies and which sizes run."),
        "compute": ComputeResource(locks=str(where.locks), num_workers=where.settings.workers),
        "duckdb": DuckDBResource(database=":memory:"),
        "tables": table_io_manager(where.root, TABLES, pointers=where.folder),
        "handles": handle_io_manager(where.root, pointers=where.folder),
    }
    return dg.Definitions(
        assets=[*assets, *sql.assets(graphs)],
        resources={**resources, **overrides},
        sensors=[automation.roster_sensor(graphs, lambda: where.profile), _automation_sensor()],
        schedules=[automation.growth_schedule(graph) for graph in graphs],
        executor=dg.in_process_executor,
    )


def _automation_sensor() -> dg.AutomationConditionSensorDefinition:
    return dg.AutomationConditionSensorDefinition(
        "consensus_when_complete",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Materialises consensus and claims when every registered seed is there and its checks passed.",
    )


defs = build()

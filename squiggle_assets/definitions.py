"""The only place where everything meets: studies, assets, resources, automation -> Definitions.

Here: assembly, and nothing heavier than Dagster, polars and pandera at import. Not here: anything that is assembled.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import dagster as dg

from io_managers.handles import HandleIOManager
from io_managers.tables import TableIOManager
from resources.compute import ComputeResource
from resources.settings import SettingsResource, Settings
from squiggle_assets import automation
from squiggle_assets.assets import curriculum_study, shared, sql
from squiggle_assets.assets.factory import assets_of
from squiggle_assets.assets.node import Graph
from squiggle_assets.schemas.tables import TABLES
from squiggle_assets.science.spec import Study
from squiggle_assets.studies import STUDIES


@cache
def graph_of(study: Study) -> Graph:
    """The nodes of one study with the shared ones it stands on."""
    return Graph(study, shared.nodes() + curriculum_study.nodes(study))


def build(*, settings: Settings | None = None, report: Callable[..., Any] | None = None, **overrides: Any) -> dg.Definitions:
    """Fresh Definitions.

    Args:
        settings: where data lies and which sizes run; default: from the environment.
        report: (node, partition) -> Progress, for a terminal; default: log lines.
        overrides: resources to replace, by key.
    """
    chosen = settings or Settings()
    graphs = tuple(graph_of(study) for study in STUDIES.values())
    assets = [asset for i, graph in enumerate(graphs) for asset in assets_of(graph, shared=i == 0)]
    resources: dict[str, Any] = {
        "settings": SettingsResource.of(chosen, report),
        "compute": ComputeResource.of(chosen),
        "tables": TableIOManager.of(chosen, TABLES),
        "handles": HandleIOManager.of(chosen),
    }
    return dg.Definitions(
        assets=[*assets, *sql.assets(graphs)],
        resources={**resources, **overrides},
        sensors=[automation.roster_sensor(graphs, chosen.load_profile), _automation_sensor()],
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

"""The names of the geometry metrics, what their signs mean, and which of them measure the same thing.

Here: names, orientation and groups. Not here: how a metric is computed (geometry) or judged (events).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ORIENTATION: Mapping[str, int] = MappingProxyType(
    {"effective_rank": 1, "sv_entropy": 1, "topk_mass_k8": -1, "sparsity_proxy": 1, "principal_angle": 1}
)
"""+1: a rise of the metric means more spread (spectral), more near-zero entries or more rotation; -1: less.

With this sign the three spectral metrics agree about one movement of one spectrum: mass in the top eight
falls when effective rank rises. Keys are the metrics in which events are looked for, in table order.
"""

METRIC_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "spectral": ("effective_rank", "sv_entropy", "topk_mass_k8"),
        "sparsity": ("sparsity_proxy",),
        "angle": ("principal_angle",),
    }
)
"""Metrics of one group are functions of one measurement: agreement within a group is no evidence."""

STEP_ANGLE = "principal_angle_step"
"""Angle to the capture before: already a change, so it feeds alignment velocity and no event is sought in it."""

COMPOSITE = "__composite__"
"""The metric of an event that several metrics of one layer share."""

_GROUP_OF = {metric: group for group, metrics in METRIC_GROUPS.items() for metric in metrics}


def group_of(metric: str) -> str:
    """The group a metric belongs to; ValueError names the metrics there are."""
    if metric not in _GROUP_OF:
        raise ValueError(f"metric {metric!r} is in no group; metrics are {list(_GROUP_OF)}")
    return _GROUP_OF[metric]

"""How partitions feed one another: written out for every pair of grains, inferred for none.

Here: one function from (upstream grain, downstream grain, fixed arm) to a mapping. Follow-ups join here later.
"""

from __future__ import annotations

import dagster as dg


def mapping(upstream: str, downstream: str, arm: str | None = None) -> dg.PartitionMapping | None:
    """The mapping of an input; None where either side has no partitions on the upstream.

    Args:
        upstream: grain of the input asset.
        downstream: grain of the asset that reads it.
        arm: only this arm of an arm-grain input, whatever the reader's partition.

    Raises:
        ValueError: for a pair that no study needs and nobody has run.
    """
    if upstream in ("shared", "study"):
        return None
    if arm is not None:
        if upstream != "arm":
            raise ValueError(f"a fixed arm needs an arm-grain input, got {upstream}")
        return dg.SpecificPartitionsPartitionMapping([arm])
    if upstream == downstream:
        return dg.IdentityPartitionMapping()
    if downstream in ("shared", "study"):
        return dg.AllPartitionMapping()
    if {upstream, downstream} == {"run", "arm"}:
        return dg.MultiToSingleDimensionPartitionMapping("arm")
    raise ValueError(f"no mapping from {upstream} to {downstream}")

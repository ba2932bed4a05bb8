"""Torch in the mode in which the same inputs give the same bits.

Here: the switch and its way back. Not here: seeds (rng), the number of threads (a caller's choice, kept fixed by it).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic(device: str) -> Iterator[None]:
    """Within: torch refuses (CPU) or warns of (other devices) operations without a deterministic form."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    # on a GPU some kernels have no deterministic form: there it is a wish, on a CPU a demand
    torch.use_deterministic_algorithms(True, warn_only=torch.device(device).type != "cpu")
    # overwriting every new tensor with nan is for finding reads of unset memory, at a price in every operation
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]

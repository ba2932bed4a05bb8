"""Compute slots: who may use which device now, how it went, and what to do when memory runs out.

Here: exclusive slots by file lock, measured figures of the work done in one, the out-of-memory fallback.
Not here: what the devices are (devices.py), starting processes, the training loop (science), Dagster
(compute_resource.py).
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from io_managers import locks
from resources import devices

T = TypeVar("T")

_POLL_SECONDS = 0.1
_CPU_ALLOCATOR = ("DefaultCPUAllocator", "not enough memory", "can't allocate memory")

ONE_THREAD: Mapping[str, str] = {
    name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
} | {"TOKENIZERS_PARALLELISM": "false"}
"""Environment of a worker: two one-thread processes beat one two-thread process by a quarter on small models."""


@dataclass
class Slot:
    """The right to compute now, and where."""

    names: tuple[str, ...]
    """Devices held: 'gpu-0', or 'cpu-1' for one of the CPU slots."""
    device: str
    """For torch: 'cuda' (the held devices are the only visible ones) or 'cpu'."""
    dtype: devices.Dtype
    """Fastest type this device computes training in."""
    attention: str
    """Attention implementation, by its name in transformers."""
    figures: dict[str, float | int | str] = field(default_factory=dict)
    """Filled when the slot is given back: waited_seconds, device_seconds, cpu_seconds, peak_rss_bytes,
    peak_device_bytes (GPU only), device."""


class Fallback(NamedTuple, Generic[T]):
    """What became of work that may run out of memory."""

    result: T
    micro_batch: int
    """The micro-batch that fitted; the effective batch is the same, in more pieces."""
    halvings: int
    """How often it had to be halved: 0 if memory sufficed."""


class Compute:
    """The devices of this machine under one data root."""

    def __init__(self, locks_folder: Path, *, num_workers: int, gpus: list[str] | None = None) -> None:
        """Compute with these slots.

        Args:
            locks_folder: <data root>/locks; processes that share it share the devices.
            num_workers: CPU slots; used only if there is no GPU.
            gpus: names for CUDA_VISIBLE_DEVICES; None = find them. An empty list means CPU.
        """
        if num_workers < 1:
            raise ValueError(f"num_workers must be at least 1, got {num_workers}")
        self._locks = locks_folder
        self._gpus = devices.visible_gpus() if gpus is None else list(gpus)
        self._num_workers = num_workers

    @property
    def num_slots(self) -> int:
        """Steps that can compute at once: one a GPU, or one a CPU worker. The limit of the pool 'gpu'."""
        return len(self._gpus) or self._num_workers

    @contextmanager
    def slot(self, num_devices: int = 1, *, timeout: float | None = None) -> Iterator[Slot]:
        """Hold devices for the length of the block, all of them or none, and measure the block.

        On a GPU machine CUDA_VISIBLE_DEVICES names exactly the held ones; if this process has opened a GPU before,
        only the same ones can be held again. timeout: seconds to wait, None = for ever.

        Raises:
            ValueError: more devices wanted than there are.
            locks.HeldError: not free within the timeout.
        """
        candidates = self._candidates()
        if not 1 <= num_devices <= len(candidates):
            raise ValueError(
                f"{num_devices} devices wanted, this process can have 1 to {len(candidates)}: {candidates}"
            )
        with ExitStack() as held:
            started = time.monotonic()
            taken = self._take(candidates, num_devices, held, timeout)
            waited = time.monotonic() - started
            if self._gpus:
                held.enter_context(_only_visible([candidates[name] for name in taken]))
            device = devices.torch_device(len(self._gpus))
            slot = Slot(tuple(taken), device, devices.best_dtype(device), devices.best_attention(device))
            with _measured(slot):
                yield slot
            slot.figures["waited_seconds"] = round(waited, 3)

    def _candidates(self) -> dict[str, str]:
        """Slot name -> device name, in the order in which locks are taken."""
        if not self._gpus:
            return {f"cpu-{index}": str(index) for index in range(self._num_workers)}
        names = {f"gpu-{name}": name for name in self._gpus}
        if devices.cuda_started() and devices.VISIBLE in os.environ:
            mine = os.environ[devices.VISIBLE].split(",")
            return {slot: name for slot, name in names.items() if name in mine}
        return names

    def _take(self, candidates: dict[str, str], wanted: int, held: ExitStack, timeout: float | None) -> list[str]:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with ExitStack() as attempt:
                taken: list[str] = []
                for name in candidates:
                    with contextlib.suppress(locks.HeldError):
                        attempt.enter_context(locks.hold(self._path(name), name, timeout=0))
                        taken.append(name)
                    if len(taken) == wanted:
                        held.push(attempt.pop_all())
                        return taken
            if deadline is not None and time.monotonic() >= deadline:
                holders = {name: locks.holder(self._path(name)) for name in candidates}
                raise locks.HeldError(f"no {wanted} of {list(candidates)} were free within {timeout} s: {holders}")
            time.sleep(_POLL_SECONDS)

    def _path(self, name: str) -> Path:
        return self._locks / f"device-{name}.lock"


def with_oom_fallback(fn: Callable[[int], T], micro_batch: int) -> Fallback[T]:
    """fn(micro_batch), with half the micro-batch each time memory runs out.

    fn must start afresh on every call and make up for the smaller micro-batch by gradient accumulation. Only running
    out of memory is caught (torch's error, and that of its CPU allocator); at micro-batch 1 it passes too.
    """
    if micro_batch < 1:
        raise ValueError(f"micro_batch must be at least 1, got {micro_batch}")
    halvings = 0
    while True:
        try:
            return Fallback(fn(micro_batch), micro_batch, halvings)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if micro_batch == 1:
                error.add_note(
                    f"memory ran out even at micro-batch 1 (after {halvings} halvings): use a smaller model, "
                    "shorter sequences, or a device with more memory"
                )
                raise
        micro_batch //= 2
        halvings += 1
        _free_memory()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error is torch's out of memory, on a GPU or from the CPU allocator."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _CPU_ALLOCATOR)


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


@contextmanager
def _only_visible(gpus: list[str]) -> Iterator[None]:
    before = os.environ.get(devices.VISIBLE)
    os.environ[devices.VISIBLE] = ",".join(gpus)
    try:
        yield
    finally:
        if not devices.cuda_started():
            if before is None:
                del os.environ[devices.VISIBLE]
            else:
                os.environ[devices.VISIBLE] = before


@contextmanager
def _measured(slot: Slot) -> Iterator[None]:
    devices.reset_peak_memory(slot.device)
    wall, cpu = time.monotonic(), time.process_time()
    try:
        yield
    finally:
        if slot.device == "cuda":
            sys.modules["torch"].cuda.synchronize()
        slot.figures |= {
            "device": ",".join(slot.names),
            "device_seconds": round(time.monotonic() - wall, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
            **devices.peak_memory(slot.device),
        }

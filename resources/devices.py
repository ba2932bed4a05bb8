"""Which devices there are and what they can do.

Here: finding GPUs without importing torch, dtype and attention implementation of a device, peak memory.
Not here: who may use a device when (compute.py).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

Dtype = Literal["float32", "bfloat16"]

PRETEND = "SQUIGGLE_PRETEND_DEVICES"
VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """Names for CUDA_VISIBLE_DEVICES of the GPUs this process may use; empty without a working driver.

    SQUIGGLE_PRETEND_DEVICES=n pretends that there are n (all work is done on the CPU), for tests.
    """
    if pretended := os.environ.get(PRETEND):
        return [str(index) for index in range(int(pretended))]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=60, check=False)
    if listed.returncode != 0:
        return []
    found = [str(index) for index, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]
    allowed = os.environ.get(VISIBLE)
    if allowed is None or not found:
        return found
    return [name for name in allowed.split(",") if name.strip() not in ("", "-1")]


def cuda_started() -> bool:
    """Whether this process has already opened a GPU: from then on CUDA_VISIBLE_DEVICES changes nothing."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def torch_device(num_devices: int) -> str:
    """'cuda' if torch can use a GPU here, else 'cpu'. Imports torch only if there are devices and they are real."""
    if num_devices == 0 or os.environ.get(PRETEND):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def best_dtype(device: str) -> Dtype:
    """bfloat16 where the GPU computes in it (compute capability 8 and up), else float32."""
    if device != "cuda":
        return "float32"
    import torch

    return "bfloat16" if torch.cuda.get_device_capability()[0] >= 8 else "float32"


def best_attention(device: str) -> str:
    """Attention implementation by its name in transformers: flash_attention_2 if installed and on a GPU, else sdpa."""
    has_flash = device == "cuda" and importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if has_flash else "sdpa"


def reset_peak_memory(device: str) -> None:
    """Begin a new peak, of this process and of its GPU."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_bytes(b"5")
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> dict[str, int]:
    """Bytes since reset_peak_memory: peak_rss_bytes of this process, peak_device_bytes of its GPU if it has one.

    Where the system cannot begin a new peak (anything but Linux), the peak of the whole process so far.
    """
    figures = {"peak_rss_bytes": _peak_rss()}
    if device == "cuda":
        import torch

        figures["peak_device_bytes"] = int(torch.cuda.max_memory_allocated())
    return figures


def _peak_rss() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

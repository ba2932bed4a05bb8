"""Random numbers as pure functions of names: the only place that makes a generator.

Here: generators keyed by (purpose, integers). Not here: any global or carried generator state.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(purpose: str, *keys: int | str) -> np.random.Generator:
    """A fresh counter-based generator for one named purpose.

    The Philox key is the first 128 bits of sha256 over purpose and keys, so that neighbouring seeds and
    steps give unrelated streams and no stream depends on how many numbers another one drew.
    """
    text = "\x1f".join([purpose, *(str(key) for key in keys)])
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64)))


def torch_seed(purpose: str, *keys: int | str) -> int:
    """A 63-bit seed for torch.manual_seed, by the same rule."""
    text = "\x1f".join([purpose, *(str(key) for key in keys)])
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "little") >> 1

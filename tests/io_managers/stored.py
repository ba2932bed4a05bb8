"""What tests of the store put into it and how they harm it."""

import numpy as np

from squiggle_assets.schemas.handles import HandleDraft


def draft(value=1.0):
    """A small adapter."""
    return HandleDraft(
        tensors={"weights": {"w": np.full((8, 8), value, dtype=np.float32)}},
        documents={"adapter_config.json": {"r": 8}},
        files={"plots/x.png": b"png"},
        meta={"kind": "adapter"},
    )


def files_below(folder):
    """Every file below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip(path, offset, bit):
    """Turn one bit of a file round."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.write_bytes(bytes(content))

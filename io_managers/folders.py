"""A handle as a folder: its files, its manifest, its content hash.

Here: writing a draft into a folder, linking a finished folder's files, the manifest and what it promises.
Not here: where the folder lies and when it becomes visible (store.py, commit.py), checking it on reading
(verification.py).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from io_managers.commit import is_temporary, sha256_file
from squiggle_assets.schemas.handles import HandleDraft, Origin
from squiggle_assets.science.canonical import plain, sha256_json

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MANIFEST = "manifest.json"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def check_file_name(name: str) -> str:
    """The relative file name if it stays inside its folder: plain parts, '/' between them; else ValueError."""
    parts = name.split("/")
    if not all(_PART.fullmatch(part) for part in parts) or ".." in name or name == MANIFEST:
        raise ValueError(
            f"{name!r} is not a usable file name in a handle: letters, digits, '.', '_', '-' and '/', no '..', "
            f"not {MANIFEST}"
        )
    return name


def check_draft(draft: HandleDraft) -> None:
    """ValueError for a name that leaves the folder, is used twice, or has the wrong ending; or for an empty draft."""
    names = [f"{stem}.safetensors" for stem in draft.tensors] + list(draft.documents) + list(draft.files)
    for name in names:
        check_file_name(name)
    if len(set(names)) != len(names):
        raise ValueError(f"a handle's files must have different names, got {sorted(names)}")
    if wrong := [name for name in draft.documents if not name.endswith(".json")]:
        raise ValueError(f"documents of a handle end in .json, got {wrong}")
    if not names and not draft.meta:
        raise ValueError("a handle needs at least one file or one meta value (an identity handle says so in its meta)")


def write_draft(draft: HandleDraft, folder: Path) -> None:
    """Write the draft's files into the (temporary) folder; values are written without NaN in JSON."""
    for stem, tensors in draft.tensors.items():
        write_tensors(_target(folder, f"{stem}.safetensors"), tensors)
    for name, value in draft.documents.items():
        text = json.dumps(plain(value), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        _target(folder, name).write_text(f"{text}\n", encoding="utf-8")
    for name, content in draft.files.items():
        _target(folder, name).write_bytes(content)


def write_tensors(path: Path, tensors: Mapping[str, Tensor | np.ndarray]) -> None:
    """Write named tensors as safetensors; torch is imported only if one of them is a torch tensor."""
    # as bytes: safetensors' save_file makes a hidden file of its own beside path, which a killed process would leave
    if any(type(value).__module__.split(".")[0] == "torch" for value in tensors.values()):
        from safetensors.torch import save

        path.write_bytes(save(_own_storage(tensors)))
        return
    import numpy as np
    from safetensors.numpy import save as save_arrays

    path.write_bytes(save_arrays({name: np.ascontiguousarray(value) for name, value in tensors.items()}))


def _own_storage(tensors: Mapping[str, Tensor | np.ndarray]) -> dict[str, Tensor]:
    """Contiguous torch tensors of which no two share memory (tied weights do; safetensors refuses that)."""
    import torch

    seen: set[int] = set()
    owned = {}
    for name, value in tensors.items():
        tensor = (value.detach() if isinstance(value, torch.Tensor) else torch.from_numpy(value)).contiguous()
        address = tensor.untyped_storage().data_ptr()
        owned[name] = tensor.clone() if address in seen else tensor
        seen.add(address)
    return owned


def link_files(source: Path, target: Path) -> None:
    """Give every file of the source a second name under the target (same disk, no bytes copied, source unharmed)."""
    for name in file_names(source):
        os.link(source / name, _target(target, check_file_name(name)))


def write_manifest(folder: Path, meta: Mapping[str, Any], origin: Origin) -> None:
    """List every file of the folder with size and sha256, beside meta and origin; written last."""
    files = {
        name: {"sha256": sha256_file(folder / name), "bytes": (folder / name).stat().st_size}
        for name in file_names(folder)
    }
    manifest = {"files": files, "meta": plain(meta), "origin": plain(dataclasses.asdict(origin))}
    manifest["sha256"] = content_sha256(manifest)
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The folder's manifest; FileNotFoundError if there is none, ValueError if it is not what was written."""
    path = folder / MANIFEST
    manifest: dict[str, Any] = json.loads(path.read_bytes())
    try:
        whole = manifest["sha256"] == content_sha256(manifest)
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise ValueError(f"{path} is damaged: its content does not match its own sha256")
    return manifest


def verified_bytes(folder: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a file, checked as read; FileNotFoundError, KeyError or ValueError if they are not as listed."""
    content = (folder / name).read_bytes()
    expected, actual = manifest["files"][name]["sha256"], hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise ValueError(f"{name} is damaged: expected sha256 {expected}, found {actual}")
    return content


def content_sha256(manifest: Mapping[str, Any]) -> str:
    """Hash of all files and meta; the origin takes no part, so equal contents have equal hashes."""
    return sha256_json({"files": manifest["files"], "meta": manifest["meta"]})


def same_content(left: Path, right: Path) -> bool:
    """Whether two handle folders hold the same files and meta."""
    return content_sha256(read_manifest(left)) == content_sha256(read_manifest(right))


def file_names(folder: Path) -> list[str]:
    """Relative names of all files but the manifest and temporaries, sorted; ValueError for a link."""
    names = []
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise ValueError(f"{path} is a symbolic link: a handle holds plain files only")
        if path.is_file() and not is_temporary(path):
            names.append(str(PurePosixPath(path.relative_to(folder))))
    return sorted(name for name in names if name != MANIFEST)


def _target(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

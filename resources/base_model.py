"""Language models from where they lie: a stored handle, a local folder, or the hub.

Here: loading with its refusals, and turning a model into a draft that the store can keep.
Not here: building the embedded model (science.pretraining), its parts (science.anatomy), adapters (science.adapters).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from squiggle_assets.schemas.handles import HandleDraft

if TYPE_CHECKING:
    from torch import Tensor

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_AS_IT_IS = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""Classes that say: tokenizer.json is the whole tokenizer."""
_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")


@dataclass(frozen=True, kw_only=True, eq=False)
class LanguageModel:
    """A causal language model with its tokenizer, in eval mode on the CPU."""

    model: Any
    """A transformers model."""
    tokenizer: Any
    """A fast tokenizer whose pad token is set (to eos where the model has none: pads are masked everywhere)."""
    name: str
    """Hub id, or name of the folder."""
    resolved_revision: str | None
    """Commit of the hub repository; None for a folder."""


def load_base(
    source: str | Path,
    revision: str | None = None,
    dtype: Literal["float32", "bfloat16"] = "float32",
    attn: str = "sdpa",
) -> LanguageModel:
    """A causal language model from a folder in Hugging Face layout (a stored handle is one) or from the hub.

    Only safetensors weights are read, no code of the repository is run, and every weight of the architecture must
    be in the files: nothing is silently left at its random start.

    Args:
        source: folder with config.json, *.safetensors and tokenizer files, or a hub id 'owner/name'.
        revision: hub commit, tag or branch; None = the default branch. Refused for a folder.
        dtype: of the weights in memory.
        attn: attention implementation of transformers: 'sdpa', 'eager', 'flash_attention_2'.

    Raises:
        ValueError: a folder that is an adapter or lacks a part, pickled weights only, missing or damaged weights,
            a slow tokenizer, or a hub id that cannot be reached (the message says how to pass a local folder).
    """
    folder = _folder(source)
    if folder is not None:
        if revision is not None:
            raise ValueError(f"revision {revision!r} was given for the folder {folder}: only hub models have revisions")
        _check_folder(folder)
    where = str(folder or source)
    try:
        model, tokenizer = _load(where, revision, dtype, attn)
    except OSError as error:
        raise ValueError(_unreachable(where, revision, folder, error)) from error
    return LanguageModel(
        model=model.eval(),
        tokenizer=tokenizer,
        name=folder.name if folder else where,
        resolved_revision=None if folder else getattr(model.config, "_commit_hash", None),
    )


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a stored model folder, ready to pad; the weights are not read. ValueError as load_base."""
    _check_folder(folder)
    return _tokenizer(str(folder), {"trust_remote_code": False})


def to_draft(model: Any, tokenizer: Any, meta: Mapping[str, Any]) -> HandleDraft:
    """Model and tokenizer as a handle in Hugging Face layout: `load_base` reads the stored folder.

    Tied weights are kept once, under the name that comes first in the model.
    """
    config = json.loads(model.config.to_json_string(use_diff=True))
    return HandleDraft(
        tensors={"model": _untied(model)},
        documents={"config.json": {**config, "architectures": [type(model).__name__]}},
        files=_tokenizer_files(tokenizer),
        meta=dict(meta),
    )


def _folder(source: str | Path) -> Path | None:
    if not str(source).strip():
        raise ValueError("the base model source is empty: pass a folder or a hub id 'owner/name'")
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    text = str(source)
    if isinstance(source, Path) or path.is_absolute() or text.startswith((".", "~")) or path.exists():
        raise ValueError(f"no model folder at {source}: pass a folder with config.json and *.safetensors, or a hub id")
    if text.count("/") > 1 or not text.strip("/"):
        raise ValueError(f"{text!r} is neither a folder that exists nor a hub id of the form 'owner/name'")
    return None


def _check_folder(folder: Path) -> None:
    if (folder / "adapter_config.json").exists():
        raise ValueError(f"{folder} holds an adapter (adapter_config.json), not a base model")
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} has no config.json: it is not a model folder in Hugging Face layout")
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
        if pickled:
            raise ValueError(
                f"{folder} has only pickled weights ({', '.join(pickled[:3])}), which can run code when they are read: "
                "convert them to safetensors first (save_pretrained writes safetensors)"
            )
        raise ValueError(f"{folder} has no weights (*.safetensors)")
    if not any((folder / name).is_file() for name in _TOKENIZER):
        raise ValueError(f"{folder} has no tokenizer (one of {', '.join(_TOKENIZER)})")


def _load(where: str, revision: str | None, dtype: str, attn: str) -> tuple[Any, Any]:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    # the config comes first: one small file tells whether the hub is there, and pins the commit of all the rest
    config = AutoConfig.from_pretrained(where, trust_remote_code=False, revision=revision or "main")
    shared = {"trust_remote_code": False, "revision": getattr(config, "_commit_hash", None) or revision or "main"}
    tokenizer = _tokenizer(where, shared)
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            where,
            config=config,
            dtype=getattr(torch, dtype),
            attn_implementation=attn,
            use_safetensors=True,
            output_loading_info=True,
            **shared,
        )
    except SafetensorError as error:
        raise ValueError(f"the weights of {where} are damaged ({error}): fetch or build the model again") from error
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise ValueError(f"{where} lacks {len(missing)} weights of its architecture, for instance {missing[:3]}")
    return model, tokenizer


def _tokenizer(where: str, shared: Mapping[str, Any]) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    config = Path(where) / "tokenizer_config.json"
    declared = json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class") if config.is_file() else None
    # AutoTokenizer overrules this class for some architectures (Qwen2) and then splits text by rules of its own
    loader = PreTrainedTokenizerFast if declared in _AS_IT_IS else AutoTokenizer
    tokenizer = loader.from_pretrained(where, **shared)
    if not tokenizer.is_fast:
        raise ValueError(f"{where} has no fast tokenizer (tokenizer.json): answers cannot be located without offsets")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _unreachable(where: str, revision: str | None, folder: Path | None, error: OSError) -> str:
    reason = str(error).strip().splitlines()[0]
    if folder is not None:
        return f"the model folder {where} cannot be read: {reason}"
    return (
        f"hub model {where!r}{f' at {revision!r}' if revision else ''} cannot be loaded ({reason}). Without network, "
        "download it elsewhere and pass the folder instead (base model source = path of a folder with config.json, "
        "*.safetensors and tokenizer.json), or use the source 'embedded'"
    )


def _untied(model: Any) -> dict[str, Tensor]:
    kept: dict[str, Tensor] = {}
    seen: set[tuple[int, tuple[int, ...]]] = set()
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tuple(tensor.shape))
        if place not in seen:
            kept[name] = tensor.detach().to("cpu").contiguous()
            seen.add(place)
    return kept


def _tokenizer_files(tokenizer: Any) -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir()) if path.is_file()}

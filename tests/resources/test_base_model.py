from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from io_managers.folders import write_draft
from resources.base_model import load_base, load_tokenizer, to_draft
from squiggle_assets.science.anatomy import anatomy
from squiggle_assets.science.tokens import completion_text, prompt_text, tokenize
from tests.science.tiny_models import ARCHITECTURES, VOCAB, random_model, tokenizer

IDS = torch.randint(3, VOCAB, (2, 8), generator=torch.Generator().manual_seed(0))


def stored(folder: Path, model: Any) -> Path:
    folder.mkdir(parents=True)
    write_draft(to_draft(model, tokenizer(), {"source": "test"}), folder)
    return folder


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_a_stored_model_comes_back_with_the_same_bits(name: str, tmp_path: Path) -> None:
    model = random_model(name)
    loaded = load_base(str(stored(tmp_path / "m", model)))
    assert type(loaded.model) is type(model) and not loaded.model.training
    assert anatomy(loaded.model).model_type == name
    assert torch.equal(loaded.model(input_ids=IDS).logits, model(input_ids=IDS).logits)
    assert loaded.name == "m" and loaded.resolved_revision is None
    args = (prompt_text("1 + 1?"), completion_text("2. Answer: 2"), 64)
    assert tokenize(loaded.tokenizer, *args) == tokenize(tokenizer(), *args)
    assert tokenize(load_tokenizer(tmp_path / "m"), *args) == tokenize(tokenizer(), *args)
    assert loaded.tokenizer.pad_token_id == 2


def test_tied_weights_are_stored_once_and_tied_again(tmp_path: Path) -> None:
    draft = to_draft(random_model("llama"), tokenizer(), {})
    assert "model.embed_tokens.weight" in draft.tensors["model"] and "lm_head.weight" not in draft.tensors["model"]
    loaded = load_base(stored(tmp_path / "m", random_model("llama")))
    assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight
    untied = to_draft(random_model("qwen3"), tokenizer(), {}).tensors["model"]
    assert {"model.embed_tokens.weight", "lm_head.weight"} <= set(untied)


def test_the_dtype_and_attention_are_the_ones_asked_for(tmp_path: Path) -> None:
    loaded = load_base(stored(tmp_path / "m", random_model("llama")), dtype="bfloat16", attn="eager")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    assert loaded.model.config._attn_implementation == "eager"


def test_a_model_without_pad_token_pads_with_eos(tmp_path: Path) -> None:
    folder = stored(tmp_path / "m", random_model("gpt2"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "pad_token"}))
    assert load_base(folder).tokenizer.pad_token_id == load_base(folder).tokenizer.eos_token_id == 1


def test_pickled_weights_are_refused_and_not_read(tmp_path: Path) -> None:
    folder = stored(tmp_path / "m", random_model("llama"))
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    with pytest.raises(ValueError, match=r"only pickled weights \(pytorch_model.bin\).*safetensors"):
        load_base(folder)


@pytest.mark.parametrize(
    ("gone", "message"),
    [("model.safetensors", "no weights"), ("config.json", "no config.json"), ("tokenizer.json", "no tokenizer")],
)
def test_a_folder_that_lacks_a_part_is_refused_by_name(gone: str, message: str, tmp_path: Path) -> None:
    folder = stored(tmp_path / "m", random_model("llama"))
    (folder / gone).unlink()
    with pytest.raises(ValueError, match=message) as raised:
        load_base(folder)
    assert str(folder) in str(raised.value)


def test_a_truncated_weight_file_is_refused(tmp_path: Path) -> None:
    folder = stored(tmp_path / "m", random_model("llama"))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged"):
        load_base(folder)


def test_a_missing_weight_is_never_left_at_random(tmp_path: Path) -> None:
    folder = stored(tmp_path / "m", random_model("llama"))
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights.*layers.1.mlp.up_proj"):
        load_base(folder)


def test_an_adapter_folder_is_no_base_model(tmp_path: Path) -> None:
    folder = stored(tmp_path / "m", random_model("llama"))
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds an adapter"):
        load_base(folder)


def test_code_in_a_model_folder_is_not_run(tmp_path: Path) -> None:
    folder = stored(tmp_path / "m", random_model("llama"))
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n")
    config = json.loads((folder / "config.json").read_text())
    auto = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": auto, "model_type": "evil"}))
    with pytest.raises(ValueError):
        load_base(folder)
    assert not ran.exists()


def test_a_hub_id_without_network_names_the_id_and_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"'google/gemma-3-1b-it' at 'abc'.*pass the folder.*embedded"):
        load_base("google/gemma-3-1b-it", revision="abc")


@pytest.mark.parametrize("source", ["/no/such/folder", "./none", "a/b/c", ""])
def test_a_source_that_can_be_nothing_is_refused_before_any_download(source: str) -> None:
    with pytest.raises(ValueError, match="hub id"):
        load_base(source)


def test_a_folder_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only hub models have revisions"):
        load_base(stored(tmp_path / "m", random_model("llama")), revision="main")

"""Small random models of every supported architecture, a tiny tokenizer and a few items; for tests only."""

from __future__ import annotations

from functools import cache
from typing import Any

import polars as pl
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    Qwen2Config,
    Qwen3Config,
)

from squiggle_assets.science.tokenizer_training import train_tokenizer

VOCAB = 320
_SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
_GROUPED = {**_SIZES, "num_key_value_heads": 2}
_GEMMA = {**_GROUPED, "head_dim": 8, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}
ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma3_text", "gemma3", "gpt2", "gpt_neox")


def _config(name: str) -> Any:
    if name == "llama":
        return LlamaConfig(**_GROUPED, tie_word_embeddings=True)
    if name == "qwen2":
        return Qwen2Config(**_GROUPED)
    if name == "qwen3":
        return Qwen3Config(**_GROUPED, head_dim=8)
    if name == "gemma3_text":
        return Gemma3TextConfig(**_GEMMA, final_logit_softcapping=3.0)
    if name == "gemma3":
        sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        vision = {**sizes, "image_size": 8, "patch_size": 4}
        return Gemma3Config(text_config=_GEMMA, vision_config=vision, mm_tokens_per_image=4)
    if name == "gpt2":
        return GPT2Config(
            vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=1
        )
    return GPTNeoXConfig(**_SIZES)


def random_model(name: str, seed: int = 0) -> Any:
    """A random model in eval mode; weights are large enough that softcapping and masks matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(_config(name), attn_implementation="sdpa")
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def items(num: int = 40, start: int = 2) -> pl.DataFrame:
    """Additions with a worked solution."""
    rows = [
        {
            "item_id": f"item-{n}",
            "family_id": "sums",
            "problem": f"What is {n} + {n * 7 % 13}?",
            "solution": f"{n} + {n * 7 % 13} = {n + n * 7 % 13}. Answer: {n + n * 7 % 13}",
            "final_answer": str(n + n * 7 % 13),
        }
        for n in range(start, start + num)
    ]
    return pl.DataFrame(rows)


@cache
def tokenizer() -> Any:
    """A byte-level BPE tokenizer with VOCAB ids."""
    frame = items(60)
    texts = [f"Problem: {p}\n\nSolution: {s} Find the remainder. Describe the word." for p, s in
             frame.select("problem", "solution").rows()]  # fmt: skip
    words = "Which number comes after this one? Please repeat every sentence and explain the answer in words."
    return train_tokenizer([*texts, words, words], VOCAB, context=64)

"""The embedded model's own tokenizer: byte-level BPE trained on the mixture.

Here: training and wrapping it for transformers. Not here: how items become ids (tokens), the text (mixture).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

BOS, EOS, PAD = "<bos>", "<eos>", "<pad>"
NUM_BYTES = 256

# A word or a digit keeps its leading space, no token holds two digits, runs of other signs stay together: merges never
# cross a word or glue digits, so a number is spelled digit by digit wherever it stands
_PIECES = r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?=\s\S)|\s+"


def train_tokenizer(texts: Iterable[str], vocab_size: int, context: int) -> Any:
    """A byte-level BPE tokenizer (PreTrainedTokenizerFast) with vocab_size ids, the same for the same texts.

    Any bytes can be encoded: the 256 byte tokens are always there. <pad> has an id of its own, so that masking
    padding never masks an eos. A text is started with <bos>; <eos> is put by `tokens`.

    Raises:
        ValueError: vocab_size too small for the bytes and specials, or texts too few to fill it.
    """
    if vocab_size < NUM_BYTES + 3:
        raise ValueError(f"vocab_size must be at least {NUM_BYTES + 3} (bytes and specials), got {vocab_size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != vocab_size:
        raise ValueError(
            f"the texts give {tokenizer.get_vocab_size()} tokens, not the {vocab_size} asked for: "
            "train on more text or ask for a smaller vocab_size"
        )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=context,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )

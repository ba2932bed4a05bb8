from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
import torch
from torch.nn.functional import cross_entropy

from squiggle_assets.science.anatomy import anatomy
from squiggle_assets.science.capture import Prober, probe_rows
from squiggle_assets.science.packed_attention import packed_attention
from squiggle_assets.science.spec import ProbeSpec
from tests.science.run_stand import corpus
from tests.science.tiny_models import ARCHITECTURES, random_model, tokenizer

SPEC = ProbeSpec(num_tokens=40, dtype="float32", components=("embed", "x_out"))


def sets(spec: ProbeSpec = SPEC) -> dict:
    items = corpus()
    # three items of different length in a, two in b: packing must not mix them up
    return {"a": probe_rows(tokenizer(), items[5:8], spec), "b": probe_rows(tokenizer(), items[12:14], spec)}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_captures_are_the_hidden_states_of_transformers_without_the_pads(name: str) -> None:
    model, probes = random_model(name), sets()
    with packed_attention(model):
        captured = Prober(anatomy(model), probes, SPEC, "cpu").capture()
    for which, rows in probes.items():
        for i in range(len(rows.table.item_ids)):
            ids = torch.tensor([rows.table.row(i).input_ids])
            # oracle: each row alone, so that no padding exists; hidden_states[k] enters block k
            states = model(input_ids=ids, output_hidden_states=True).hidden_states
            part = slice(int(rows.table.offsets[i]), int(rows.table.offsets[i + 1]))
            torch.testing.assert_close(captured.tensors[f"{which}.x_out.00"][part], states[1][0], rtol=1e-4, atol=1e-4)
            if name not in ("gpt2", "gemma3", "gemma3_text"):  # these add positions or a scale after the embedding
                torch.testing.assert_close(captured.tensors[f"{which}.embed.00"][part], states[0][0])


def test_names_and_shapes_are_one_tensor_for_each_set_component_and_layer() -> None:
    model, probes = random_model("llama"), sets()
    with packed_attention(model):
        captured = Prober(anatomy(model), probes, SPEC, "cpu").capture().tensors
    assert list(captured) == [f"{s}.{c}" for s in ("a", "b") for c in ("embed.00", "x_out.00", "x_out.01")]
    assert {t.shape for n, t in captured.items() if n.startswith("a")} == {(probes["a"].num_tokens, 32)}
    assert probes["a"].num_tokens == sum(len(probes["a"].table.row(i).input_ids) for i in range(3)) <= 3 * 40


def test_the_last_block_is_captured_before_the_final_norm() -> None:
    model, probes = random_model("llama"), sets()
    parts = anatomy(model)
    with packed_attention(model):
        last = Prober(parts, probes, SPEC, "cpu").capture().tensors["a.x_out.01"]
    ids = torch.tensor([probes["a"].table.row(0).input_ids])
    with torch.no_grad():
        torch.testing.assert_close(parts.norm(last[: ids.shape[1]]), parts.body(ids)[0], rtol=1e-4, atol=1e-4)


def test_the_probe_loss_is_that_of_transformers_on_the_completion() -> None:
    model, probes = random_model("llama"), sets()
    with packed_attention(model):
        losses = Prober(anatomy(model), probes, SPEC, "cpu").capture().losses
    sums, num = 0.0, 0
    for i in range(2):
        row = probes["b"].table.row(i)
        ids = torch.tensor([row.input_ids])
        labels = ids.clone()
        labels[0, : row.num_prompt] = -100
        own = len(row.input_ids) - row.num_prompt
        sums, num = sums + model(input_ids=ids, labels=labels).loss.item() * own, num + own
    assert losses["b"] == pytest.approx(sums / num, rel=1e-5)


def test_loss_and_accuracy_of_an_item_are_those_of_transformers_on_the_item_alone() -> None:
    model, probes = random_model("llama"), sets()
    with packed_attention(model):
        prober = Prober(anatomy(model), probes, SPEC, "cpu")
        found = prober.capture()
    expected = []
    for which, rows in probes.items():
        for i, item_id in enumerate(rows.table.item_ids):
            row = rows.table.row(i)
            logits = model(input_ids=torch.tensor([row.input_ids])).logits[0, row.num_prompt - 1 : -1]
            targets = torch.tensor(row.input_ids[row.num_prompt :])
            right = (logits.argmax(-1) == targets).double().mean().item()
            expected.append((which, item_id, len(targets), cross_entropy(logits, targets).item(), right))
    assert prober.items.select("probe_set", "item_id", "num_tokens").rows() == [each[:3] for each in expected]
    assert len({each[2] for each in expected}) > 1
    assert found.item_losses == pytest.approx([each[3] for each in expected], rel=1e-5)
    assert found.item_accuracies == [each[4] for each in expected]
    families = dict(corpus().select("item_id", "family_id").iter_rows())
    assert [families[item] for item in prober.items["item_id"]] == prober.items["family_id"].to_list()


def test_an_item_without_a_completion_is_not_measured_and_moves_no_other() -> None:
    spec, items = replace(SPEC, num_tokens=21), corpus()
    longer = items.with_columns(
        problem=pl.when(pl.col("item_id") == "item-006")
        .then(pl.concat_str(pl.lit("What is the sum of the numbers in the sentence? "), pl.col("problem")))
        .otherwise(pl.col("problem"))
    )
    model = random_model("llama")

    def scores(frame: pl.DataFrame) -> dict[str, tuple[float, float]]:
        probes = {"a": probe_rows(tokenizer(), frame, spec), "b": probe_rows(tokenizer(), items[12:14], spec)}
        with packed_attention(model):
            prober = Prober(anatomy(model), probes, spec, "cpu")
            found = prober.capture()
        return dict(
            zip(prober.items["item_id"], zip(found.item_losses, found.item_accuracies, strict=True), strict=True)
        )

    without = scores(longer[5:8].filter(pl.col("item_id") != "item-006"))
    beside = scores(longer[5:8])
    assert set(beside) == set(without) == {"item-005", "item-007", "item-012", "item-013"}
    for item, pair in without.items():
        assert beside[item] == pytest.approx(pair, rel=1e-5)


def test_a_capture_has_no_gradient_and_the_stored_type() -> None:
    model = random_model("llama")
    with packed_attention(model):
        captured = Prober(anatomy(model), sets(), replace(SPEC, dtype="float16", layers=(1,)), "cpu").capture().tensors
    assert set(captured) == {"a.embed.00", "a.x_out.01", "b.embed.00", "b.x_out.01"}
    assert all(t.dtype == torch.float16 and not t.requires_grad for t in captured.values())


def test_what_does_not_fit_the_stored_type_is_refused() -> None:
    model = random_model("llama")
    model.model.embed_tokens.weight.data *= 1e7
    narrow = Prober(anatomy(model), sets(), replace(SPEC, dtype="float16"), "cpu")
    with packed_attention(model), pytest.raises(ValueError, match=r"embed\.00 .* use probe dtype float32"):
        narrow.capture()


def test_the_hash_of_a_probe_set_changes_with_a_token_and_not_with_the_order_of_the_frame() -> None:
    items = corpus()[5:8]
    first = probe_rows(tokenizer(), items, SPEC).sha256
    assert probe_rows(tokenizer(), items.reverse(), SPEC).sha256 == first
    assert probe_rows(tokenizer(), items, replace(SPEC, num_tokens=39)).sha256 != first
    changed = items.with_columns(problem=pl.col("problem").str.replace("What", "Which"))
    assert probe_rows(tokenizer(), changed, SPEC).sha256 != first


def test_of_a_long_problem_the_start_is_probed_and_it_has_no_part_in_the_loss() -> None:
    short, cut = corpus()[:1], replace(SPEC, num_tokens=5)
    rows = probe_rows(tokenizer(), short, cut)
    whole = probe_rows(tokenizer(), short, SPEC)
    assert rows.num_tokens == 5
    assert rows.table.input_ids.tolist() == whole.table.input_ids[:5].tolist()
    model = random_model("llama")
    with packed_attention(model):
        captured = Prober(anatomy(model), {"a": whole, "b": rows}, SPEC, "cpu").capture()
    assert set(captured.losses) == {"a"}


def test_probes_that_cannot_be_are_refused() -> None:
    parts = anatomy(random_model("llama"))
    with pytest.raises(ValueError, match="at least one item"):
        probe_rows(tokenizer(), corpus()[:0], SPEC)
    with pytest.raises(ValueError, match=r"\[2\] .* blocks 0 to 1"):
        Prober(parts, sets(), replace(SPEC, layers=(0, 2)), "cpu")
    with pytest.raises(ValueError, match="mlp_out"):
        Prober(parts, sets(), replace(SPEC, components=("mlp_out",)), "cpu")
    with pytest.raises(ValueError, match="at least one probe set"):
        Prober(parts, {}, SPEC, "cpu")

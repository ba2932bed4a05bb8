from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn.functional import cross_entropy

from squiggle_assets.schemas import runs
from squiggle_assets.schemas.base import dtypes
from squiggle_assets.science import run_log
from squiggle_assets.science.adapters import attach
from squiggle_assets.science.capture import Capture, NotFiniteError, Prober
from squiggle_assets.science.rng import generator
from squiggle_assets.science.schedule import schedule
from squiggle_assets.science.training import RunInputs, RunResult, train
from tests.science.run_stand import PROBE, TRAINING, Killed, Memory, inputs, same
from tests.science.tiny_models import VOCAB, random_model

KEYS = {"arm", "seed", "run_id"}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def whole() -> tuple[RunResult, Memory]:
    """The uninterrupted run that others are compared with."""
    memory = Memory()
    return train(inputs(), checkpoints=memory, captures=memory), memory


def assert_same(first: RunResult, second: RunResult) -> None:
    """Every table and tensor, bit for bit."""
    assert same(first.adapter, second.adapter)
    for name in ("scalars", "milestones", "controller_decisions", "sample_trace", "probe_losses"):
        assert getattr(first, name).equals(getattr(second, name)), name
    assert (first.summary, first.capture_steps) == (second.summary, second.capture_steps)


def values(result: RunResult, metric: str) -> dict[int, float]:
    rows = result.scalars.filter(pl.col("metric") == metric)
    return dict(zip(rows["step"], rows["value"], strict=True))


def test_the_first_loss_and_update_are_those_of_plain_torch() -> None:
    # oracle: peft's own forward, one row at a time, full logits, and AdamW written out. First update: moments are
    # (1 - b) g and (1 - b) g^2, their corrections divide that out, so the step is lr g / (|g| + eps), after decay.
    spec = replace(TRAINING, min_warmup_steps=0, warmup_fraction=0.0, clip=1e9, checkpoint_every=1)
    run = inputs(spec)
    memory = Memory()
    result = train(run, checkpoints=memory, captures=memory)
    found = attach(run.make_model(), mode="lora", rank=TRAINING.lora_rank, alpha=TRAINING.lora_alpha, seed=run.seed)
    items = run.policy.items["item_id"]
    loss, num = torch.zeros(()), 0
    for drawn in run.policy.draw(run.seed, 0):
        row = run.train.row(run.train.index[items[int(drawn)]])
        ids = torch.tensor([row.input_ids])
        logits = found.model(input_ids=ids).logits[0, row.num_prompt - 1 : -1]
        loss = loss + cross_entropy(logits, ids[0, row.num_prompt :], reduction="sum")
        num += len(row.input_ids) - row.num_prompt
    (loss / num).backward()
    assert values(result, "loss")[0] == pytest.approx(loss.item() / num, rel=1e-5)
    norm = math.sqrt(sum(float((p.grad**2).sum()) for p in found.trainable.values()))
    assert values(result, "grad_norm")[0] == pytest.approx(norm, rel=1e-4)
    for name, parameter in found.trainable.items():
        gradient = parameter.grad
        expected = parameter * (1 - TRAINING.lr * TRAINING.weight_decay)
        expected = expected - TRAINING.lr * gradient / (gradient.abs() + 1e-8)
        got = memory.saved[1].tensors[f"parameter/{name}"]
        # where the gradient is of the size of rounding errors, its direction is too
        clear = gradient.abs() > 1e-3 * gradient.abs().max()
        torch.testing.assert_close(got[clear], expected[clear].detach(), rtol=1e-3, atol=1e-5)


def test_training_lowers_the_loss_of_what_it_trains_on() -> None:
    run = inputs(replace(TRAINING, mode="full", total_steps=80, lr=1e-2, eval_every=80))
    result = train(run, checkpoints=Memory(), captures=Memory())
    losses = values(result, "loss")
    assert np.mean([losses[s] for s in range(75, 80)]) < 0.8 * losses[0]
    assert result.milestones["milestone"].to_list()[:1] == [0.2]


def test_every_step_has_its_scalars_and_validations_stand_at_start_cadence_and_end(
    whole: tuple[RunResult, Memory],
) -> None:
    result, _ = whole
    for metric in ("loss", "lr", "grad_norm", "curriculum_phase"):
        assert list(values(result, metric)) == list(range(20))
    for metric in ("val_random_loss", "val_random_token_acc"):
        assert list(values(result, metric)) == [0, 7, 14, 20]
    assert list(values(result, "probe_a_loss")) == list(range(0, 21, 2))
    assert list(values(result, "lr").values()) == [schedule(TRAINING).lr(s) for s in range(20)]
    # phase p1 starts at 0.4 of 20 steps
    assert [s for s, phase in values(result, "curriculum_phase").items() if phase == 1] == list(range(8, 20))
    assert not result.scalars.select("step", "metric").is_duplicated().any()


def test_probe_items_are_measured_at_every_capture_and_their_mean_over_tokens_is_the_logged_loss(
    whole: tuple[RunResult, Memory],
) -> None:
    result, _ = whole
    table = result.probe_losses
    assert sorted(table["step"].unique()) == list(range(0, 21, 2))
    named = [("a", ["item-020", "item-021"]), ("b", ["item-022", "item-023"])]
    assert (
        table.group_by("step", "probe_set")
        .agg("item_id")
        .select("probe_set", "item_id")
        .unique()
        .sort("probe_set")
        .rows()
        == named
    )
    for which in ("a", "b"):
        rows = table.filter(pl.col("probe_set") == which)
        means = rows.group_by("step").agg((pl.col("loss") * pl.col("num_tokens")).sum() / pl.col("num_tokens").sum())
        assert dict(means.iter_rows()) == pytest.approx(values(result, f"probe_{which}_loss"), rel=1e-12)
    first = table.filter(pl.col("item_id") == "item-020")["loss"]
    assert first.n_unique() == len(first)
    keys = [pl.lit("iid").alias("arm"), pl.lit(3, dtype=pl.Int64).alias("seed"), pl.lit("r").alias("run_id")]
    runs.ProbeLosses.validate(table.select(*keys, pl.all()))


def test_captures_stand_at_the_cadence_and_the_last_step() -> None:
    memory = Memory()
    run = inputs(replace(TRAINING, total_steps=5), replace(PROBE, capture_every=3))
    result = train(run, checkpoints=memory, captures=memory)
    assert list(memory.steps) == [0, 3, 5] == list(result.capture_steps)
    assert not same(memory.steps[0], memory.steps[5])
    assert {name: tensor.shape[1] for name, tensor in memory.steps[0].items()} == dict.fromkeys(
        ["a.x_out.00", "a.x_out.01", "b.x_out.00", "b.x_out.01"], 32
    )


def test_the_trace_is_what_the_policy_draws_for_every_update(whole: tuple[RunResult, Memory]) -> None:
    result, _ = whole
    run = inputs()
    ids = run.policy.items["item_id"].to_list()
    expected = [ids[i] for step in range(20) for i in run.policy.draw(run.seed, step)]
    assert result.sample_trace["item_id"].to_list() == expected
    tokens = np.diff(run.train.offsets)
    assert result.summary["num_tokens"] == sum(int(tokens[run.train.index[i]]) for i in expected)


def test_frames_have_the_columns_and_types_of_their_tables() -> None:
    for schema, table in (
        (run_log.SCALARS, runs.Scalars),
        (run_log.PROBE_LOSSES, runs.ProbeLosses),
        (run_log.MILESTONES, runs.Milestones),
        (run_log.DECISIONS, runs.ControllerDecisions),
    ):
        declared = {name: kind for name, kind in dtypes(table).items() if name not in KEYS}
        assert declared == schema


def test_the_summary_fills_the_manifest(whole: tuple[RunResult, Memory]) -> None:
    summary = {**whole[0].summary, "phase_boundaries_json": "[]"}
    del summary["phase_boundaries"]
    summary |= {"arm": "iid", "seed": 3, "run_id": "0" * 32, "spec_json": "{}", "curriculum_id": "c"}
    summary |= {"probe_items_json": "[]"}
    kinds = dtypes(runs.RunManifest)
    assert set(summary) == set(kinds)
    runs.RunManifest.validate(pl.DataFrame([summary], schema=kinds))
    assert summary["first_loss"] == values(whole[0], "loss")[0]
    assert summary["final_loss"] == values(whole[0], "loss")[19]
    assert summary["best_loss"] == min(values(whole[0], "loss").values())


def test_a_finished_run_that_is_taken_up_again_makes_no_update_and_gives_the_same(
    whole: tuple[RunResult, Memory],
) -> None:
    first, memory = whole
    captured, updates = Memory(), []
    again = train(inputs(), checkpoints=memory, captures=captured, progress=lambda *said: updates.append(said))
    assert updates == []
    assert captured.steps == {}
    assert same(again.adapter, first.adapter)
    for table in ("scalars", "milestones", "controller_decisions", "sample_trace", "probe_losses"):
        assert getattr(again, table).equals(getattr(first, table))
    assert again.capture_steps == first.capture_steps
    assert again.summary == first.summary


# 11 captures and 5 checkpoints make 16 events; the moments are drawn, not chosen
@pytest.mark.parametrize(
    "event", sorted(generator("kill points", 0).choice(np.arange(1, 16), 6, replace=False).tolist())
)
def test_a_killed_run_ends_in_the_bytes_of_the_uninterrupted_one(event: int, whole: tuple[RunResult, Memory]) -> None:
    memory = Memory(kill_after=event)
    with pytest.raises(Killed):
        train(inputs(), checkpoints=memory, captures=memory)
    memory.kill_after = None
    assert_same(train(inputs(), checkpoints=memory, captures=memory), whole[0])
    assert list(memory.steps) == list(whole[1].steps)
    assert all(same(memory.steps[step], whole[1].steps[step]) for step in memory.steps)


def test_a_run_that_resumes_does_less_work(whole: tuple[RunResult, Memory]) -> None:
    memory = Memory()
    memory.saved = {12: whole[1].saved[12]}
    done: list[int] = []
    train(inputs(), checkpoints=memory, captures=memory, progress=lambda step, *_: done.append(step))
    assert done == list(range(13, 21)) and list(memory.steps) == [14, 16, 18, 20]


@pytest.mark.parametrize("multiplier", [2, 3])
def test_an_extended_run_is_the_long_run_from_the_start(multiplier: int, whole: tuple[RunResult, Memory]) -> None:
    long = inputs(replace(TRAINING, step_multiplier=multiplier))
    scratch, extended = Memory(), Memory(parent=whole[1].kept)
    expected = train(long, checkpoints=scratch, captures=scratch)
    found = train(long, checkpoints=extended, captures=extended)
    assert_same(found, expected)
    # decay takes int(0.15 * 20) = 3 steps, so the shorter run keeps step 17
    assert (found.inherited_step, expected.inherited_step) == (17, None)
    assert min(extended.steps) == 18
    earlier = {step: tensors for step, tensors in whole[1].steps.items() if step <= 17}
    assert all(same({**earlier, **extended.steps}[step], scratch.steps[step]) for step in scratch.steps)
    assert values(expected, "loss")[16] == values(whole[0], "loss")[16]
    assert expected.adapter.keys() == whole[0].adapter.keys() and not same(expected.adapter, whole[0].adapter)


def test_another_seed_is_another_run(whole: tuple[RunResult, Memory]) -> None:
    other = train(inputs(seed=4), checkpoints=Memory(), captures=Memory())
    assert not same(other.adapter, whole[0].adapter)
    assert not other.sample_trace.equals(whole[0].sample_trace)


def test_a_smaller_micro_batch_gives_the_same_run_up_to_rounding(whole: tuple[RunResult, Memory]) -> None:
    small = train(inputs(micro_batch=1), checkpoints=Memory(), captures=Memory())
    assert small.sample_trace.equals(whole[0].sample_trace)
    np.testing.assert_allclose(list(values(small, "loss").values()), list(values(whole[0], "loss").values()), rtol=1e-4)


@pytest.mark.parametrize("changes", [{"mode": "full"}, {"dtype": "bfloat16"}])
def test_full_and_bfloat16_runs_train_and_resume(changes: dict[str, Any]) -> None:
    run = inputs(replace(TRAINING, **changes))
    memory, killed = Memory(), Memory(kill_after=9)
    result = train(run, checkpoints=memory, captures=memory)
    with pytest.raises(Killed):
        train(run, checkpoints=killed, captures=killed)
    killed.kill_after = None
    assert_same(train(run, checkpoints=killed, captures=killed), result)
    plain = train(inputs(replace(TRAINING, mode="lora")), checkpoints=Memory(), captures=Memory())
    # the first loss is that of the base model; bfloat16 has 8 bits of mantissa
    assert values(result, "loss")[0] == pytest.approx(values(plain, "loss")[0], rel=2e-2)
    last = values(result, "loss")[19]
    assert last != values(plain, "loss")[19]
    if run.training.mode == "lora":
        assert last == pytest.approx(values(plain, "loss")[19], rel=1e-2)
        assert abs(last - values(plain, "loss")[19]) < 0.2 * abs(values(plain, "loss")[0] - values(plain, "loss")[19])
    assert all(tensor.dtype == torch.float32 for tensor in result.adapter.values())


def test_dropout_of_the_base_model_is_off() -> None:
    def with_dropout() -> Any:
        model = random_model("gpt2")
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.5
        return model.train()

    run = replace(inputs(), make_model=with_dropout)
    first, second = (train(run, checkpoints=Memory(), captures=Memory()) for _ in range(2))
    assert_same(first, second)
    bare = train(replace(run, make_model=lambda: random_model("gpt2")), checkpoints=Memory(), captures=Memory())
    assert same(first.adapter, bare.adapter)


def poisoned(step: int) -> RunInputs:
    """A run whose items of that step are tokens with an embedding of nan."""
    run = inputs()
    drawn = {int(i) for i in run.policy.draw(run.seed, step)}
    before = {int(i) for s in range(step) for i in run.policy.draw(run.seed, s)}
    victim = min(drawn - before)
    row = run.train.index[run.policy.items["item_id"][victim]]
    ids = run.train.input_ids.copy()
    others = [*run.validation.values(), *(probe.table for probe in run.probes.values()), run.train]
    used = {int(token) for table in others for token in table.input_ids}
    unused = max(set(range(VOCAB)) - used)
    ids[run.train.offsets[row]] = unused

    def model() -> Any:
        made = random_model("qwen2")
        made.model.embed_tokens.weight.data[unused] = math.nan
        return made

    return replace(run, train=replace(run.train, input_ids=ids), make_model=model)


def test_a_loss_that_is_no_number_stops_the_run_and_says_why() -> None:
    step = 2
    memory = Memory()
    result = train(poisoned(step), checkpoints=memory, captures=memory)
    assert result.summary["stopped_early"] and result.summary["stop_reason"] == "loss is nan at step 2"
    assert result.summary["num_updates"] == 2 and math.isnan(result.summary["final_loss"])
    assert result.sample_trace["step"].max() == 1
    assert all(bool(tensor.isfinite().all()) for tensor in result.adapter.values())
    assert result.controller_decisions["decision"].to_list() == ["stop"]
    assert math.isnan(values(result, "loss")[2])


# at these limits the run stops at step 20 and 21: on a captured step and between two
@pytest.mark.parametrize(("limit", "step"), [(0.8, 20), (1.0, 21)])
def test_a_diverging_run_is_stopped_only_if_a_limit_is_set(limit: float, step: int) -> None:
    # the rate jumps: 24 calm steps fill the window of 20, then the loss is that of nonsense
    spec = replace(TRAINING, total_steps=40, lr=1e-4, eval_every=40)
    run = inputs(spec)
    late = {int(i) for i in run.policy.draw(run.seed, 24)} - {
        int(i) for s in range(24) for i in run.policy.draw(run.seed, s)
    }
    assert not late
    free = train(run, checkpoints=Memory(), captures=Memory())
    assert not free.summary["stopped_early"] and free.controller_decisions.is_empty()
    memory = Memory()
    stopped = train(replace(run, training=replace(spec, divergence_z=limit)), checkpoints=memory, captures=memory)
    decisions = stopped.controller_decisions
    last = decisions.row(-1, named=True)
    assert last["decision"] == "stop" and last["value"] > limit and last["step"] == step
    assert decisions["step"].to_list() == list(range(20, last["step"] + 1))
    assert (decisions["value"][:-1] <= limit).all()
    assert stopped.summary["num_updates"] == last["step"] < 40
    # the state it stopped in is captured and validated, once
    assert not stopped.scalars.select("step", "metric").is_duplicated().any()
    assert len(set(stopped.capture_steps)) == len(stopped.capture_steps) == stopped.summary["num_captures"]
    assert max(memory.steps) == last["step"] == max(values(stopped, "val_random_loss"))


def test_a_checkpoint_of_another_run_is_refused(whole: tuple[RunResult, Memory]) -> None:
    for other in (inputs(seed=9), inputs(replace(TRAINING, lr=1e-4)), inputs(probe=replace(PROBE, num_tokens=39))):
        with pytest.raises(ValueError, match="is of another run"):
            train(other, checkpoints=whole[1], captures=Memory())


def test_a_policy_that_does_not_fit_is_refused_before_any_model_is_made() -> None:
    def no_model() -> Any:
        raise AssertionError("a model was made")

    run = replace(inputs(), make_model=no_model)
    with pytest.raises(ValueError, match=r"\(4, 20, 20\).*\(4, 30, 30\)"):
        train(replace(run, training=replace(TRAINING, total_steps=30)), checkpoints=Memory(), captures=Memory())
    fewer = inputs(replace(TRAINING, max_length=14))
    assert fewer.train.dropped
    with pytest.raises(ValueError, match=r"items of the curriculum are not in the token table"):
        train(replace(fewer, make_model=no_model), checkpoints=Memory(), captures=Memory())


def test_activations_that_cannot_be_stored_stop_the_run_and_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Prober.capture, []

    def capture(self: Prober) -> Capture:
        calls.append(len(calls))
        if len(calls) > 3:
            raise NotFiniteError("activations of x_out.01 are not finite in torch.float16")
        return real(self)

    monkeypatch.setattr(Prober, "capture", capture)
    memory = Memory()
    stopped = train(inputs(), checkpoints=memory, captures=memory)
    decision = stopped.controller_decisions.row(-1, named=True)
    assert (decision["controller"], decision["feature"], decision["decision"]) == ("non_finite", "activation", "stop")
    # captures at steps 0, 2 and 4 went well, the one at 6 did not
    assert stopped.summary["num_updates"] == 6
    assert stopped.capture_steps == tuple(memory.steps) == (0, 2, 4)
    assert stopped.summary["stop_reason"] == "activations of x_out.01 are not finite in torch.float16"
    calls.clear()
    calls.extend(range(9))
    with pytest.raises(NotFiniteError):
        train(inputs(), checkpoints=Memory(), captures=Memory())

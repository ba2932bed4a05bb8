"""Device slots, measured figures, and the out-of-memory fallback, without a GPU."""

import os
import subprocess
import sys
import time
from multiprocessing import get_context

import pytest

from io_managers import locks
from resources import devices
from resources.compute import ONE_THREAD, Compute, is_out_of_memory, with_oom_fallback
from resources.compute_resource import ComputeResource
from resources.settings import Settings, num_usable_cores

CPU_ERROR = "[enforce fail at alloc_cpu.cpp:128] err == 0. DefaultCPUAllocator: can't allocate memory: you tried ..."


def test_with_memory_for_three_eight_becomes_two_after_two_halvings():
    tried = []

    def train(micro_batch):
        tried.append(micro_batch)
        if micro_batch > 3:
            raise RuntimeError(CPU_ERROR)
        return f"trained with {micro_batch}"

    # 8 -> 4 -> 2: 2 is the first that is at most 3
    assert with_oom_fallback(train, 8) == ("trained with 2", 2, 2)
    assert tried == [8, 4, 2]


def test_enough_memory_means_no_halving():
    assert with_oom_fallback(lambda micro_batch: micro_batch, 5) == (5, 5, 0)


def test_memory_that_does_not_suffice_for_one_is_said():
    def train(micro_batch):
        raise RuntimeError(CPU_ERROR)

    with pytest.raises(RuntimeError, match="DefaultCPUAllocator") as raised:
        with_oom_fallback(train, 7)
    assert "even at micro-batch 1 (after 2 halvings)" in raised.value.__notes__[0]  # 7 -> 3 -> 1


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("x"), MemoryError(), KeyboardInterrupt()])
def test_any_other_error_passes_at_once(error):
    tried = []

    def train(micro_batch):
        tried.append(micro_batch)
        raise error

    with pytest.raises(type(error)):
        with_oom_fallback(train, 8)
    assert tried == [8]


def test_torchs_own_errors_are_known():
    torch = pytest.importorskip("torch")
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**50, dtype=torch.float64)
    assert is_out_of_memory(raised.value)


def test_a_micro_batch_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        with_oom_fallback(lambda micro_batch: None, 0)


def test_devices_are_held_by_one_at_a_time_and_only_they_are_visible(tmp_path, monkeypatch):
    monkeypatch.setenv(devices.PRETEND, "2")
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    compute = Compute(tmp_path, num_workers=7)
    assert compute.num_slots == 2
    with compute.slot() as first:
        assert os.environ[devices.VISIBLE] == "0"
        with compute.slot() as second:
            assert os.environ[devices.VISIBLE] == "1"
            assert (first.names, second.names) == (("gpu-0",), ("gpu-1",))
            with (
                pytest.raises(locks.HeldError, match=r"no 1 of \['gpu-0', 'gpu-1'\] were free"),
                compute.slot(timeout=0),
            ):
                pass
        assert os.environ[devices.VISIBLE] == "0"
    assert devices.VISIBLE not in os.environ
    assert list(tmp_path.iterdir()) == []


def test_two_devices_are_taken_together_or_not_at_all(tmp_path):
    compute = Compute(tmp_path, num_workers=1, gpus=["0", "1", "2"])
    with compute.slot(2) as both:
        assert both.names == ("gpu-0", "gpu-1")
        with pytest.raises(locks.HeldError), compute.slot(2, timeout=0):
            pass
        # the failed attempt kept nothing: the third device is still free
        with compute.slot(1, timeout=0) as third:
            assert third.names == ("gpu-2",)
    with pytest.raises(ValueError, match="4 devices wanted"), compute.slot(4):
        pass


def test_without_a_gpu_there_is_one_slot_a_worker(tmp_path):
    compute = Compute(tmp_path, num_workers=2, gpus=[])
    with compute.slot() as one, compute.slot() as two:
        assert (one.names, two.names) == (("cpu-0",), ("cpu-1",))
        assert (one.device, one.dtype, one.attention) == ("cpu", "float32", "sdpa")
        with pytest.raises(locks.HeldError), compute.slot(timeout=0):
            pass


def _use(folder, log):
    with Compute(folder, num_workers=1, gpus=["0", "1"]).slot() as slot:
        log.put((slot.names[0], "in", time.monotonic()))
        time.sleep(0.2)
        log.put((slot.names[0], "out", time.monotonic()))


def test_no_two_processes_are_ever_on_one_device(tmp_path):
    context = get_context("fork")
    log = context.Queue()
    processes = [context.Process(target=_use, args=(tmp_path, log)) for _ in range(5)]
    for process in processes:
        process.start()
    entries = sorted((log.get(timeout=30) for _ in range(10)), key=lambda entry: entry[2])
    for process in processes:
        process.join()
    for device in ("gpu-0", "gpu-1"):
        turns = [what for name, what, _ in entries if name == device]
        assert turns == ["in", "out"] * (len(turns) // 2)
    assert {name for name, _, _ in entries} == {"gpu-0", "gpu-1"}


def test_a_killed_process_gives_its_device_back(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from resources.compute import Compute\n"
        "with Compute(Path(sys.argv[1]), num_workers=1, gpus=[]).slot(): print('in', flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    child.stdout.readline()
    compute = Compute(tmp_path, num_workers=1, gpus=[])
    with pytest.raises(locks.HeldError, match=f"process {child.pid}"), compute.slot(timeout=0):
        pass
    child.kill()
    child.wait()
    with compute.slot(timeout=5):
        pass


def test_figures_are_of_the_block_and_not_of_the_process(tmp_path):
    compute = Compute(tmp_path, num_workers=1, gpus=[])
    with compute.slot() as big:
        block = bytearray(200 << 20)
        time.sleep(0.05)
    del block
    with compute.slot() as small:
        pass
    assert big.figures["peak_rss_bytes"] - small.figures["peak_rss_bytes"] > 150 << 20
    assert 0.05 <= big.figures["device_seconds"] < 5
    assert small.figures["device_seconds"] < 0.05
    assert big.figures["device"] == "cpu-0"
    assert "peak_device_bytes" not in big.figures


def test_figures_are_taken_when_the_work_fails_too(tmp_path):
    compute = Compute(tmp_path, num_workers=1, gpus=[])
    with pytest.raises(KeyError), compute.slot() as slot:
        raise KeyError
    assert slot.figures["device_seconds"] >= 0


def test_a_process_that_opened_a_gpu_can_only_have_that_one_again(tmp_path, monkeypatch):
    compute = Compute(tmp_path, num_workers=1, gpus=["0", "1"])
    monkeypatch.setattr(devices, "cuda_started", lambda: True)
    monkeypatch.setenv(devices.VISIBLE, "1")
    with compute.slot() as slot:
        assert slot.names == ("gpu-1",)
        with pytest.raises(locks.HeldError), compute.slot(timeout=0):
            pass


def test_pretended_and_forbidden_devices_are_honoured(monkeypatch):
    monkeypatch.setenv(devices.PRETEND, "3")
    assert devices.visible_gpus() == ["0", "1", "2"]
    assert devices.torch_device(3) == "cpu"
    monkeypatch.delenv(devices.PRETEND)
    monkeypatch.setattr(devices.shutil, "which", lambda name: "/bin/nvidia-smi")
    listed = "GPU 0: NVIDIA (UUID: a)\nGPU 1: NVIDIA (UUID: b)\n"
    monkeypatch.setattr(
        devices.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=listed, stderr="")
    )
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    assert devices.visible_gpus() == ["0", "1"]
    monkeypatch.setenv(devices.VISIBLE, "1")
    assert devices.visible_gpus() == ["1"]
    monkeypatch.setenv(devices.VISIBLE, "-1")
    assert devices.visible_gpus() == []


def test_the_resource_gives_assets_the_plain_object(tmp_path):
    import dagster as dg

    seen = []

    @dg.asset
    def uses(compute: dg.ResourceParam[Compute]) -> None:
        with compute.slot() as slot:
            seen.append((type(compute), slot.names))

    resource = ComputeResource(locks=str(tmp_path), num_workers=2)
    assert dg.materialize([uses], resources={"compute": resource}).success
    assert seen == [(Compute, ("cpu-0",))]


def test_a_slot_needs_no_torch():
    code = (
        "import sys; from pathlib import Path; import resources.compute_resource\n"
        "from resources.compute import Compute\n"
        "with Compute(Path(sys.argv[1]), num_workers=1).slot(): pass\nassert 'torch' not in sys.modules"
    )
    environment = {**os.environ, **ONE_THREAD}
    environment.pop(devices.PRETEND, None)
    assert devices.visible_gpus() != [] or (
        subprocess.run([sys.executable, "-c", code, "/tmp"], env=environment, check=False).returncode == 0
    )


def test_settings_come_from_the_environment_and_have_defaults(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("SQUIGGLE_")]:
        monkeypatch.delenv(name)
    settings = Settings()
    assert (settings.profile, settings.items, settings.workers) == ("demo", None, num_usable_cores())
    assert settings.home == settings.data_root.absolute() / "dagster"
    monkeypatch.setenv("SQUIGGLE_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("SQUIGGLE_NUM_WORKERS", "3")
    monkeypatch.setenv("SQUIGGLE_PROFILE", "test")
    settings = Settings()
    assert (settings.home, settings.workers, settings.profile) == (tmp_path / "dagster", 3, "test")
    assert Settings(profile="gpu").profile == "gpu"
    monkeypatch.setenv("SQUIGGLE_NUM_WORKERS", "0")
    with pytest.raises(ValueError, match="num_workers"):
        Settings()


def test_no_secret_of_the_environment_shows_in_the_settings(monkeypatch):
    for name in ("OPENAI_API_KEY", "SQUIGGLE_API_KEY", "HF_TOKEN", "DAGSTER_PG_URL"):
        monkeypatch.setenv(name, "canary-7f3a")
    assert "canary-7f3a" not in repr(Settings()) + str(Settings().model_dump())

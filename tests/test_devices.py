"""Cores, threads, devices, precision: what a process may use decides, not what the machine has."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmlib import devices
from mmlib.__main__ import main
from mmlib.encoders import ResNet18, SmallCNN

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def threads_as_before(monkeypatch):
    monkeypatch.delenv("MMLIB_THREADS", raising=False)
    yield
    monkeypatch.undo()
    devices.use_threads()


def said_by(code, **environment):
    command = [sys.executable, "-c", f"from mmlib.devices import *; {code}"]
    return subprocess.check_output(command, text=True, env=os.environ | environment).strip()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_bound_to_one_core_may_use_one():
    assert (
        said_by("os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(usable_cores())")
        == "1"
    )


@pytest.mark.slow
def test_the_quota_of_a_container_counts():
    # what a container of one core finds at this place, on a machine of two or more
    quota = "mount -t tmpfs none /sys/fs/cgroup && echo 100000 100000 > /sys/fs/cgroup/cpu.max"
    code = "from mmlib.devices import usable_cores; print(usable_cores())"
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"]).returncode:
        pytest.skip("no namespaces on this system")
    command = [*alone, "sh", "-c", f"{quota} && {sys.executable} -c '{code}'"]
    done = subprocess.run(command, capture_output=True, text=True)
    if "mount:" in done.stderr:
        pytest.skip("no mounts in a namespace on this system")
    assert done.stdout.strip() == "1"


@pytest.mark.slow
def test_no_default_counts_the_machines_cores():
    sources = [*ROOT.glob("mmlib/**/*.py"), *ROOT.glob("tests/*.py")]
    calls = re.compile(r"os\.cpu_count\(|multiprocessing\.cpu_count\(")
    found = [path.name for path in sources if calls.search(path.read_text(encoding="utf-8"))]
    assert set(found) <= {"devices.py", "test_devices.py"}


def test_one_thread_unless_the_environment_says_otherwise(monkeypatch):
    assert devices.use_threads() == torch.get_num_threads() == 1
    assert devices.use_threads(2) == torch.get_num_threads() == 2
    monkeypatch.setenv("MMLIB_THREADS", "3")
    assert devices.use_threads() == torch.get_num_threads() == 3


@pytest.mark.parametrize("words", ["two", "0", "-1", "1.5"])
def test_a_number_of_threads_that_is_none(monkeypatch, words):
    monkeypatch.setenv("MMLIB_THREADS", words)
    with pytest.raises(ValueError, match=f"MMLIB_THREADS is .*{words}.*; give a whole number"):
        devices.use_threads()


def test_more_threads_than_any_machine_has(monkeypatch):
    monkeypatch.setenv("MMLIB_THREADS", "99999999999")
    with pytest.raises(ValueError, match="MMLIB_THREADS is 99999999999; give 256 at most"):
        devices.use_threads()


@pytest.mark.slow
def test_linear_algebra_of_numpy_has_one_thread_too():
    code = (
        "import numpy, sklearn.linear_model; from threadpoolctl import threadpool_info; "
        "use_threads(); print({x['num_threads'] for x in threadpool_info()})"
    )
    assert said_by(code) == "{1}"


@pytest.mark.slow
def test_training_says_its_threads(tmp_path, capsys, monkeypatch):
    torch.set_num_threads(2)
    words = ["train", "--epochs", "1", "--data-options", "size=64", "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "a")]) == 0
    assert "mmlib: on cpu with 1 thread (MMLIB_THREADS" in capsys.readouterr().err
    assert torch.get_num_threads() == 1
    monkeypatch.setenv("MMLIB_THREADS", "2")
    assert main([*words, "--out", str(tmp_path / "b")]) == 0
    assert "mmlib: on cpu with 2 threads" in capsys.readouterr().err


def test_tables_are_made_with_as_many_processes_as_there_are_usable_cores(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("mmlib.__main__.usable_cores", lambda: 7)
    monkeypatch.setattr(
        "mmlib.evidence.tables.write_tables",
        lambda out, processes, voices: seen.append((processes, voices)),
    )
    assert main(["results", "--out", str(tmp_path)]) == 0
    assert seen == [(7, None)]


def test_pick_device():
    assert devices.pick_device("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="'cuda', which is not on this machine"):
            devices.pick_device("cuda")


def test_channels_last_changes_the_layout_alone():
    with devices.seeded(0):
        encoder = ResNet18(3).eval()
    x = torch.randn(2, 3, 32, 32)
    before = encoder(x)
    changed = devices.use_channels_last(encoder)
    assert changed.trunk.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(changed(x), before, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_close_and_comes_back_as_float32():
    with devices.seeded(0):
        encoder = SmallCNN().eval()
    x = torch.randn(6, 1, 40, 51, generator=torch.Generator().manual_seed(0))
    exact = encoder(x)
    mixed = devices.use_precision(encoder, "bfloat16")(x)
    assert mixed.dtype == torch.float32
    assert 0 < (mixed - exact).abs().max() < 0.1
    with pytest.raises(ValueError, match="precision is 'half'"):
        devices.use_precision(encoder, "half")

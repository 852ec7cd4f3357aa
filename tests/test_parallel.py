"""Two processes of torchrun against one at the same global batch, batch normalisation too."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.distributed as dist
from torch import nn

import mmlib.data
import mmlib.parallel
import parallel_worker
import toys
from mmlib.__main__ import main
from mmlib.parallel import (
    SharedBatchNorm,
    average_gradients,
    mean_over_processes,
    normal_like,
    own_rows,
    share_batch_norm,
    start_processes,
    whole_batch,
)
from mmlib.training import fit
from toys import Lazy, make

HERE = Path(toys.__file__).parent
ROOT = Path(__file__).parents[1]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """Two processes, once for all tests: their folder, and what they printed."""
    folder = tmp_path_factory.mktemp("two")
    done = subprocess.run(
        [*TORCHRUN, HERE / "parallel_worker.py", folder],
        capture_output=True,
        text=True,
        timeout=900,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def two_processes(launched):
    """What each of them saved."""
    return [torch.load(launched[0] / f"{i}.pt", weights_only=True) for i in (0, 1)]


@pytest.fixture
def one_thread():
    """As torchrun's processes have: another number rounds otherwise, and training amplifies it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", parallel_worker.NAMES)
def test_two_processes_train_as_one(name, two_processes, one_thread):
    first, second = (found[name] for found in two_processes)
    assert torch.equal(first["weights"], second["weights"])
    alone = parallel_worker.trained(name)
    assert len(alone["losses"]) >= 12
    for found in (first, second):
        torch.testing.assert_close(found["losses"], alone["losses"], rtol=0, atol=1e-5)
        torch.testing.assert_close(found["history"], alone["history"], rtol=0, atol=1e-5)
    torch.testing.assert_close(first["weights"], alone["weights"], rtol=1e-4, atol=1e-5)
    assert first["acted"] and alone["acted"]  # the mixture, the added classifier, the second stage


@pytest.mark.slow
def test_what_the_processes_share(two_processes):
    """See `parallel_worker.pieces`: the parts by themselves."""
    first, second = (found["pieces"] for found in two_processes)
    alone = parallel_worker.pieces()
    noise = torch.stack([first["noise"], second["noise"]], 1).flatten(0, 1)
    assert torch.equal(noise, alone["noise"])
    for found in (first, second):
        for name in ("batch", "mean"):
            assert torch.equal(found[name], alone[name]), name
        for name in ("running_mean", "running_var", "gradient"):
            torch.testing.assert_close(found[name], alone[name], rtol=1e-5, atol=1e-6)
        assert found["no gradient"] and found["empty share"]
    out = torch.stack([first["normalised"], second["normalised"]], 1).flatten(0, 1)
    torch.testing.assert_close(out, alone["normalised"], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_processes_share_what_is_judged(two_processes, one_thread):
    """A batch is read by one process, and all get the logits of one process, bit for bit."""
    alone = parallel_worker.judged()
    for size, batches in ((300, (3, 2)), (70, (1, 1)), (5, (1, 1))):  # with one batch, both read it
        reads = tuple(int(found["judged"][size].pop("reads")) for found in two_processes)
        assert reads == batches and int(alone[size].pop("reads")) == -(-size // 64)
        for found in two_processes:
            assert list(found["judged"][size]) == list(alone[size]) == ["audio", "visual", "fused"]
            for name, logits in alone[size].items():
                assert len(logits) == size and torch.equal(found["judged"][size][name], logits)


def test_an_ordinary_run_is_left_alone():
    rows = torch.arange(6.0)
    assert whole_batch(rows) is rows and torch.equal(own_rows(rows), rows)
    values = {"a": 1.5}
    assert mean_over_processes(values) is values
    encoder = toys.small_cnn()
    assert share_batch_norm(encoder) is encoder
    assert not any(isinstance(part, SharedBatchNorm) for part in encoder.modules())
    layer = nn.Linear(2, 2)
    average_gradients(layer)
    assert layer.weight.grad is None
    generator, same = (torch.Generator().manual_seed(3) for _ in range(2))
    noise = normal_like(torch.zeros(4, 5), generator)
    assert torch.equal(noise, torch.empty(4, 5).normal_(generator=same))


def test_one_value_a_channel_is_refused(monkeypatch):
    monkeypatch.setattr(mmlib.parallel, "world_size", lambda: 2)
    monkeypatch.setattr(mmlib.parallel, "sum_over_processes", lambda values: values)
    with pytest.raises(ValueError, match="one value a channel in the whole batch"):
        SharedBatchNorm(3)(torch.randn(1, 3, 1, 1))


@pytest.mark.slow
def test_the_command_under_torchrun(launched, tmp_path, monkeypatch, one_thread):
    folder, printed = launched
    assert printed.count("best on val") == 1  # one process prints
    monkeypatch.setattr(mmlib.data, "DATA", mmlib.data.DATA)  # what the command has it replaced by
    assert parallel_worker.command(tmp_path) == 0
    tables = [pd.read_csv(path / "metrics.csv") for path in (folder / "command", tmp_path)]
    assert (tables[0]["samples"] % 2 == 0).all()  # of an odd number two processes leave one out
    pd.testing.assert_frame_equal(*(t.drop(columns="seconds") for t in tables), atol=1e-4)


@pytest.mark.slow
def test_unseeded_weights_start_as_those_of_the_first_process(two_processes, one_thread):
    """And batch normalisation of all kinds is shared, in the layers that the optimiser knows."""
    first, second = (found["unseeded"] for found in two_processes)
    assert torch.equal(first["weights"], second["weights"])
    assert first["kept"] and second["kept"]
    alone = parallel_worker.unseeded()["weights"]
    torch.testing.assert_close(first["weights"], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_method_of_ones_own_trains_as_in_one_process(two_processes, one_thread):
    first, second = (found["own"] for found in two_processes)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, parallel_worker.own(), rtol=1e-4, atol=1e-5)


ALIKE = "start all processes alike"
SAMPLES = r"40 samples \(\w+\) in process 0 and {} samples \(\w+\) in process 1; "
WHOLE = "give every process the whole data set, fit takes its share"
DISK = "give a path on a disk that all processes see, with one file"
FAULTS = {
    "odd batch": "batch_size 7 does not split over 2 processes; give a multiple of 2",
    "epochs": "epochs is 1 in process 0 and 2 in process 1; " + ALIKE,
    "batch_size": "batch_size is 4 in process 0 and 8 in process 1; " + ALIKE,
    "seed": "seed is 0 in process 0 and 1 in process 1; " + ALIKE,
    "method": "the method is Joint in process 0 and Ensemble in process 1; " + ALIKE,
    "half": "the data is " + SAMPLES.format(20) + WHOLE,
    "targets": "the data is " + SAMPLES.format(40) + WHOLE,
    "inputs": "the data is " + SAMPLES.format(40) + WHOLE,
    "width": r"the shape of model.encoders.audio\S* is \(4,.* 0 and \(5,.* 1; start all .* alike",
    "lr": r"model\.\S* is not the same in process 0 and 1 after an epoch; give all the same o",
    "one cannot": "epochs is 1.5; give a whole number of at least 1",
    "plan": r"the plan is \w+ in process 0 and \w+ in process 1; draw it from the method's own",
    "forgotten": r"model\.\S* is not the same in process 0 and 1 after an epoch; "
    r"give all the same options, call average_gradients\(model\) between backward and step",
    "statistic": "layer.mean is not the same in process 0 and 1 after an epoch; "
    "it follows each process's rows, so average it over the processes",
    "state": "the processes differ after load_state_dict; let the method's state_dict hold all",
    "own norm": "0 is a OwnNorm, which cannot be shared over the processes; take nn.BatchNorm1d",
    "one file": rf"the checkpoint is of 1 epochs \(\w+\) in process 0 and none in .* 1; {DISK}",
    "exists": "checkpoint.pt exists; go on from it with resume=True",
    "other file": rf"the checkpoint is of 1 epochs .* 0 and of 1 epochs \(\w+\) in .* 1; {DISK}",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_what_is_not_alike_is_told_by_every_process(name, two_processes):
    for found in two_processes:
        kind, sentence = found["faults"][name].split(": ", 1)
        assert kind in ("ValueError", "FileExistsError")
        assert re.search(FAULTS[name], sentence), sentence
    assert two_processes[0]["faults"].keys() - FAULTS == {"first"}
    assert all(found["faults"]["first"] is None for found in two_processes)


@pytest.fixture
def example(tmp_path):
    """README's example of a script for `torchrun`, as a file."""
    _, text = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    path = tmp_path / "own.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.slow
def test_the_readme_s_script_gives_under_torchrun_what_it_gives_alone(example, tmp_path):
    found = {}
    for name, command in (("one", [sys.executable]), ("two", TORCHRUN)):
        (tmp_path / name).mkdir()
        done = subprocess.run(
            [*command, example], cwd=tmp_path / name, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
        found[name] = done.stdout, torch.load(tmp_path / name / "own.pt", weights_only=True)
    (said, alone), (same, together) = found.values()
    assert said == same and 0.7 < float(said) < 1
    torch.testing.assert_close(
        together["state"]["model"], alone["state"]["model"], rtol=1e-3, atol=1e-4
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["script", "command"])
def test_processes_end_when_their_torchrun_is_killed(kind, example, tmp_path):
    if kind == "script":
        text = example.read_text("utf-8").replace("epochs=10", "epochs=10**6")
        example.write_text(text, encoding="utf-8")
        words, saved = [example], tmp_path / "own.pt"
    else:
        words = "-m mmlib train --epochs 100000 --data-options size=64 --device cpu --out".split()
        words, saved = [*words, "out"], tmp_path / "out" / "checkpoint.pt"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    launcher = subprocess.Popen([*TORCHRUN, *words], cwd=tmp_path, **pipes)
    for _ in range(600):
        if saved.exists():
            break
        time.sleep(0.1)
    launcher.kill()
    said, _ = launcher.communicate(timeout=20)  # returns when nobody holds the pipe any more
    assert said.count("torchrun has gone, so this process ends") == 2
    if kind == "command":
        assert "Traceback" not in said, said
        assert said.count("stopped; what was finished is kept, --resume goes on from there") == 1
    assert torch.load(saved, weights_only=True)["history"]


@pytest.mark.parametrize("name", mmlib.parallel.TASKS)
def test_tasks_without_torchrun_are_told(name, monkeypatch, tmp_path, capsys):
    """Not an allocation of several in which one runs, nor several that write nothing."""
    data = Lazy(".", "train")
    settings = {"epochs": 1, "batch_size": 20, "progress": False}
    monkeypatch.setenv("SLURM_NTASKS", "2")  # as in sbatch and salloc, outside srun
    fit(make("joint", data, 1, lr=0.02), data, checkpoint=tmp_path / "a.pt", **settings)
    monkeypatch.setenv(name, "1")
    fit(make("joint", data, 1, lr=0.02), data, checkpoint=tmp_path / "b.pt", **settings)
    monkeypatch.setenv(name, "2")
    fit(make("joint", data, 1, lr=0.02), data, **settings)
    assert "tasks" not in capsys.readouterr().err
    fit(make("joint", data, 1, lr=0.02), data, checkpoint=tmp_path / "c.pt", **settings)
    said = capsys.readouterr().err
    assert "mmlib: 2 tasks were started that know nothing" in said and "c.pt: right for" in said
    assert main(["train", "--epochs", "0", "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.startswith("mmlib: 2 tasks were started that know nothing")
    monkeypatch.setenv(name, "")
    fit(make("joint", data, 1, lr=0.02), data, checkpoint=tmp_path / "d.pt", **settings)


def test_a_group_of_one_that_a_cluster_names_is_an_ordinary_run(monkeypatch):
    """Its port would be taken by the first of two runs at a time."""
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "1"), ("MASTER_PORT", "29500")):
        monkeypatch.setenv(name, value)
        start_processes()
        assert not dist.is_initialized()


def test_one_node_commands_are_standalone():
    """Two of them on one machine would meet on the default port."""
    here = [*ROOT.glob("*.md"), ROOT / "Makefile", *(ROOT / ".ci").iterdir()]
    for folder in ("mmlib", "notebooks", "tests"):
        here += [p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".ipynb", ".md")]
    found = 0
    for path in here:
        for line in path.read_text("utf-8").splitlines():
            if re.search(r"(torchrun|distributed.run).*--n(proc|nodes)", line):
                found += 1
                assert "--standalone" in line or "--nnodes" in line, (path, line)
    assert found >= 5


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm])
def test_batch_normalisation_is_shared_in_place(kind, monkeypatch):
    layer = kind(3, momentum=None)
    module, kept = nn.Sequential(layer), [*layer.parameters(), *layer.buffers()]
    monkeypatch.setattr(mmlib.parallel, "world_size", lambda: 2)
    for _ in range(2):
        assert share_batch_norm(module) is module
    assert module[0] is layer and type(layer) is SharedBatchNorm and layer.momentum is None
    assert all(x is y for x, y in zip(kept, [*layer.parameters(), *layer.buffers()], strict=True))
    assert type(share_batch_norm(module, "cuda")[0]) is nn.SyncBatchNorm and module[0] is layer
    assert torch.isfinite(layer.eval()(torch.ones(2, 3, 4))).all()

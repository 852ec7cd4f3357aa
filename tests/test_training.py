"""The loop: batches, plans, checkpoints, resume, torchrun; bad input."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmlib.encoders import TextEncoder
from mmlib.fusion import ConcatFusion
from mmlib.methods import METHODS, make_method
from mmlib.training import (
    Plan,
    batches,
    fit,
    load_checkpoint,
    pick_device,
    save_checkpoint,
    seeded,
)


class Linear(nn.Module):
    """An encoder without batch statistics, so that shares of a batch add up exactly."""

    features = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x)


def toy(size=40):
    generator = torch.Generator().manual_seed(0)
    inputs = {m: torch.randn(size, 4, generator=generator) for m in ("audio", "visual", "rear")}
    target = torch.randint(0, 5, (size,), generator=generator)
    dataset = SimpleNamespace(inputs=inputs, target=target)
    return type("Toy", (SimpleNamespace,), {"__len__": lambda _: size})(**vars(dataset))


def method(name="joint", epochs=4, modalities=("audio", "visual", "rear")):
    if name == "gap":  # between two
        modalities = modalities[:2]
    with seeded(0):
        encoders = {m: Linear() for m in modalities}
    return make_method(name, encoders, 5, epochs, dataset=toy())


def weights(method):
    return torch.cat([p.detach().flatten() for p in method.model.parameters()])


def test_batches_visit_every_sample_once():
    data = toy(10)
    seen = [index for _, _, index in batches(data, 4)]
    assert [len(index) for index in seen] == [4, 4, 2]
    assert torch.equal(torch.cat(seen), torch.arange(10))
    shuffled = list(batches(data, 4, shuffle=True, generator=torch.Generator().manual_seed(1)))
    index = torch.cat([i for _, _, i in shuffled])
    assert not torch.equal(index, torch.arange(10))
    assert torch.equal(index.sort().values, torch.arange(10))
    for inputs, target, i in shuffled:
        assert torch.equal(inputs["rear"], data.inputs["rear"][i])
        assert torch.equal(target, data.target[i])


@pytest.mark.parametrize("size", [0, -1, 2.0, "8", None, True])
def test_bad_batch_size(size):
    with pytest.raises(ValueError, match="batch_size is .* whole number of at least 1"):
        batches(toy(), size)
    with pytest.raises(ValueError, match="batch_size is .* whole number of at least 1"):
        fit(method(), toy(), 1, batch_size=size, progress=False)


def test_shuffle_needs_a_generator():
    with pytest.raises(ValueError, match="needs a generator"):
        batches(toy(), 4, shuffle=True)


def test_bad_epochs():
    with pytest.raises(ValueError, match="epochs is 0"):
        fit(method(), toy(), 0, progress=False)


def test_nothing_to_visit():
    with pytest.raises(ValueError, match="0 samples to visit"):
        fit(method(), toy(0), 1, progress=False)


def test_history_tells_what_happened():
    history = fit(method(), toy(), 4, 8, evaluate=lambda m: {"answer": 42.0}, progress=False)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert {row["samples"] for row in history} == {40}
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[0]["answer"] == 42.0 and history[0]["seconds"] > 0


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_weights(name):
    runs = []
    for seed in (0, 0, 1):
        trained = method(name)
        torch.manual_seed(seed + 17)  # what the caller did with the global generator is no matter
        fit(trained, toy(), 4, 8, seed=seed, progress=False)
        runs.append(weights(trained))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_training_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    fit(method(), toy(), 2, 8, progress=False)
    assert torch.equal(torch.rand(3), wanted)


def test_a_plan_repeats_and_masks():
    seen = []

    class Planned:
        model = nn.Identity()

        def plan(self, epoch):
            index = torch.tensor([3, 3, 5, 7])
            return Plan(index, {"audio": torch.tensor([True, False, True, False])})

        def step(self, inputs, target, index, keep=None):
            seen.extend(zip(index.tolist(), keep["audio"].tolist(), strict=True))
            return {"loss": torch.tensor(0.0)}

    history = fit(Planned(), toy(), 1, 3, progress=False)
    assert sorted(seen) == [(3, False), (3, True), (5, True), (7, False)]
    assert history[0]["samples"] == 4


class Growing:
    """Two stages, two updates a step, a head added half-way: what later methods need."""

    def __init__(self, epochs=4):
        with seeded(0):
            self.model = ConcatFusion({m: Linear() for m in ("audio", "visual")}, 5)
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1)
        self.extra = nn.ModuleList()

    def grow(self):
        with seeded(len(self.extra)):
            self.extra.append(nn.Linear(3, 5))
        self.optimizer.add_param_group({"params": self.extra[-1].parameters()})

    def plan(self, epoch):
        if epoch == 2:
            self.grow()

    def step(self, inputs, target, index, keep=None):
        for m in ("audio", "visual"):
            features = self.model.features(inputs)
            logits = self.model.classify(features)[m]
            logits = logits + sum(head(features[m]) for head in self.extra)
            loss = nn.functional.cross_entropy(logits, target)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return {"loss": loss.detach()}

    def state_dict(self):
        parts = {"model": self.model, "extra": self.extra, "optimizer": self.optimizer}
        return {k: v.state_dict() for k, v in parts.items()} | {"stages": len(self.extra)}

    def load_state_dict(self, state):
        while len(self.extra) < state["stages"]:
            self.grow()
        for name in ("model", "extra", "optimizer"):
            getattr(self, name).load_state_dict(state[name])


class Stop(Exception):
    pass


def stop_in(epoch):
    def evaluate(method):
        evaluate.calls += 1
        if evaluate.calls == epoch:
            raise Stop
        return {}

    evaluate.calls = 0
    return evaluate


@pytest.mark.parametrize("make", [Growing, *(lambda n=n: method(n) for n in METHODS)])
@pytest.mark.parametrize("epoch", [2, 4])
def test_a_resumed_run_reaches_the_weights_of_an_undisturbed_one(make, epoch, tmp_path):
    whole, stopped, resumed = make(), make(), make()
    history = fit(whole, toy(), 4, 8, progress=False)
    path = tmp_path / "run" / "checkpoint.pt"
    with pytest.raises(Stop):
        fit(stopped, toy(), 4, 8, checkpoint=path, evaluate=stop_in(epoch), progress=False)
    again = fit(resumed, toy(), 4, 8, checkpoint=path, resume=True, progress=False)
    assert torch.equal(weights(whole), weights(resumed))
    assert [row["loss"] for row in again] == [row["loss"] for row in history]
    assert list(path.parent.iterdir()) == [path]  # nothing half-written is left


def test_a_finished_run_resumes_to_itself(tmp_path):
    path = tmp_path / "checkpoint.pt"
    trained = method()
    history = fit(trained, toy(), 4, 8, checkpoint=path, progress=False)
    again = method()
    assert fit(again, toy(), 4, 8, checkpoint=path, resume=True, progress=False) == history
    assert torch.equal(weights(trained), weights(again))


def test_checkpoint_bad_input(tmp_path):
    path = tmp_path / "checkpoint.pt"
    fit(method(), toy(), 1, 8, checkpoint=path, progress=False)
    with pytest.raises(FileExistsError, match="resume=True"):
        fit(method(), toy(), 1, 8, checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="holds a Joint, not a Ensemble"):
        load_checkpoint(path, method("ensemble"))
    with pytest.raises(ValueError, match="of a model of other sizes"):
        load_checkpoint(path, method(modalities=("audio",)))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        load_checkpoint(path, method())
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none.pt", method())


def test_an_interrupted_save_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, method(), [])
    before = path.read_bytes()

    def half(state, beside):
        beside.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, method(), [])
    assert path.read_bytes() == before


def test_a_text_modality_trains_in_the_same_loop():
    data = toy()
    data.inputs = {"text": torch.randint(0, 20, (40, 6)), "audio": data.inputs["audio"]}
    with seeded(0):
        encoders = {"text": TextEncoder(20), "audio": Linear()}
    history = fit(make_method("joint-unimodal", encoders, 5, 6), data, 6, 8, progress=False)
    assert history[-1]["loss"] < history[0]["loss"]


def test_pick_device():
    assert pick_device("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="'cuda', which is not on this machine"):
            pick_device("cuda")


WORKER = """
import sys
import torch
sys.path.insert(0, {tests!r})
import test_training as t
from mmlib.training import fit, rank, start_processes
start_processes()
trained = t.method({name!r})
fit(trained, t.toy(), 3, {batch}, progress=False)
torch.save(t.weights(trained), {out!r} + f"/{{rank()}}.pt")
"""


def torchrun(tmp_path, name, batch):
    script = tmp_path / "worker.py"
    here = os.path.dirname(__file__)
    script.write_text(WORKER.format(tests=here, name=name, batch=batch, out=str(tmp_path)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, "--nproc-per-node=2", str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )


@pytest.mark.parametrize(
    "name", ["joint-unimodal", "valuation", "boosting", "detached", "gap", "cal"]
)
def test_two_processes_of_torchrun_train_as_one(name, tmp_path):
    done = torchrun(tmp_path, name, 8)
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"{i}.pt", weights_only=True) for i in (0, 1))
    assert torch.equal(first, second)
    if name in ("detached", "gap", "cal"):
        return  # these compare, weigh or draw within a process's share: alike, but not as one
    alone = method(name)
    fit(alone, toy(), 3, 8, progress=False)
    torch.testing.assert_close(first, weights(alone), rtol=1e-4, atol=1e-5)


def test_a_batch_that_does_not_split_over_the_processes(tmp_path):
    done = torchrun(tmp_path, "joint", 7)
    assert done.returncode != 0
    assert "batch_size 7 does not split over 2 processes" in done.stderr

"""The loop: batches, plans, data read as it is needed, checkpoints, resume; bad input."""

import threading
import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import mmlib.methods.gap
import toys
from mmlib.batches import DRAWS, ahead, batches, parts_of, take
from mmlib.checkpoints import load_checkpoint, save_checkpoint
from mmlib.devices import pick_device, seeded, use_channels_last
from mmlib.encoders import ResNet18, SmallCNN, TextEncoder
from mmlib.evaluation import collect, probe_encoders
from mmlib.fusion import ConcatFusion
from mmlib.methods import METHODS, make_method
from mmlib.methods.gap import fit_gap_mixture
from mmlib.training import Plan, fit, make_optimizer, step_rate


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
    if name in ("gap", "gap-late"):  # between two
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


class Plain(toys.Lazy):
    """Without augmentation."""

    def finish(self, inputs, draws=None):
        return super().finish(inputs)


def reading_threads():
    return [t for t in threading.enumerate() if t.name.startswith("read ahead")]


@pytest.mark.parametrize("name", METHODS)
def test_data_read_as_it_is_needed_train_as_those_in_memory(name):
    lazy = Plain(".", "train")
    found = []
    for data in (lazy, toys.whole(lazy)):
        trained = toys.make(name, data, lr=0.05)
        history = fit(trained, data, 4, 8, progress=False)
        found.append((toys.weights(trained), [row["loss"] for row in history]))
    assert found[0][1] == found[1][1]
    assert torch.equal(found[0][0], found[1][0])


def test_probes_and_collect_read_lazy_data():
    lazy, test = toys.Lazy(".", "train"), toys.Lazy(".", "test")
    model = toys.make("joint", lazy).model
    wanted = probe_encoders(model, toys.whole(lazy), toys.whole(test))
    assert probe_encoders(model, lazy, test) == wanted
    features = collect(model.features, lazy, batch_size=7)
    torch.testing.assert_close(features, collect(model.features, toys.whole(lazy)))


class Recorder:
    """A method that remembers what it was given."""

    model = nn.Identity()

    def __init__(self, index=None):
        self.index, self.seen = index, {}

    def plan(self, epoch):
        self.seen[epoch] = {}
        self.epoch = epoch
        return None if self.index is None else Plan(self.index)

    def step(self, inputs, target, index, keep=None):
        for row, i in enumerate(index.tolist()):
            self.seen[self.epoch].setdefault(i, []).append(inputs["audio"][row])
        return {"loss": torch.tensor(0.0)}


def test_what_a_sample_undergoes_depends_on_seed_epoch_and_sample_alone():
    data = toys.Lazy(".", "train")
    plain = data.finish(data.take(torch.arange(40)))["audio"]

    def seen(batch_size, seed=0, index=None):
        method = Recorder(index)
        fit(method, data, 2, batch_size, seed, progress=False)
        return method.seen

    few, many, other = seen(3), seen(16), seen(3, seed=1)
    again = seen(8, index=torch.tensor([5, 5, 9]))
    for i in range(40):
        assert torch.equal(few[0][i][0], many[0][i][0])
        assert not torch.equal(few[0][i][0], few[1][i][0])
        assert not torch.equal(few[0][i][0], other[0][i][0])
        assert not torch.equal(few[0][i][0], plain[i])
    assert torch.equal(again[1][5][0], few[1][5][0]) and torch.equal(*again[1][5])
    assert set(again[0]) == {5, 9}


def test_a_read_that_fails_reaches_the_caller_and_leaves_no_thread():
    data = toys.Lazy(".", "train", fail_at=3)
    with pytest.raises(ValueError, match="clip7.wav holds no samples"):
        fit(toys.make("joint", data), data, 1, 4, progress=False)
    assert not reading_threads()


def test_a_step_that_is_interrupted_leaves_no_thread():
    class Interrupted(Recorder):
        def step(self, *batch):
            raise KeyboardInterrupt

    data = toys.Lazy(".", "train")
    with pytest.raises(KeyboardInterrupt):
        fit(Interrupted(), data, 1, 4, progress=False)
    assert not reading_threads() and data.reads <= 3


def test_leaving_a_loop_over_batches_leaves_no_thread():
    data = toys.Lazy(".", "train")
    for _ in batches(data, 4):
        assert reading_threads()
        break
    assert not reading_threads()


def test_ahead_keeps_the_order_and_does_not_run_away():
    done = []
    results = ahead(lambda x: done.append(x) or 2 * x, range(6), threads=1)
    assert not done  # before it is asked
    assert next(results) == 0
    assert list(results) == [2, 4, 6, 8, 10] and done == list(range(6))

    started = threading.Event()
    waiting = ahead(lambda x: (started.set(), done.append(x)), range(100), threads=1)
    done.clear()
    next(waiting)
    waiting.close()
    assert len(done) <= 3 and not reading_threads()


def test_the_next_batch_is_read_while_this_one_is_worked_on():
    data = toys.Lazy(".", "train")
    seen = []
    for batch, _ in enumerate(batches(data, 10)):
        wanted = min(batch + 2, 4)
        for _ in range(6000):  # half a minute on a busy machine
            if data.reads >= wanted:
                break
            time.sleep(0.005)
        seen.append(data.reads >= wanted)
    assert seen == [True] * 4


def test_the_best_state_on_validation_is_kept(tmp_path):
    values = iter([0.2, 0.5, 0.5, 0.4])
    trained = method()
    states = []

    def evaluate(trained):
        states.append(weights(trained))
        return {"val_fused": next(values)}

    fit(
        trained,
        toy(),
        4,
        8,
        evaluate=evaluate,
        checkpoint=tmp_path / "last.pt",
        best="val_fused",
        progress=False,
    )
    best = method()
    assert len(load_checkpoint(tmp_path / "best.pt", best)) == 2  # of equal ones the first
    assert torch.equal(weights(best), states[1])
    last = method()
    assert len(load_checkpoint(tmp_path / "last.pt", last)) == 4
    assert torch.equal(weights(last), states[3])


def test_a_best_that_no_row_has(tmp_path):
    with pytest.raises(ValueError, match="best is 'val_fused'; choose one of epoch, "):
        fit(method(), toy(), 1, 8, checkpoint=tmp_path / "a.pt", best="val_fused", progress=False)


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, method(), [])
    before = path.read_bytes()

    def full(state, beside):
        beside.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="checkpoint.pt cannot be written: Pytorch"):
        save_checkpoint(path, method(), [])
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == before


def test_after_epoch_ends_the_training():
    seen = []
    history = fit(
        method(),
        toy(),
        4,
        8,
        after_epoch=lambda rows: seen.append(len(rows)) or len(rows) == 2,
        progress=False,
    )
    assert seen == [1, 2] and len(history) == 2


SUMS = ("joint-unimodal", "ensemble", "ogm-ge", "valuation", "gap", "modality-dropout")


@pytest.mark.parametrize("name", SUMS)
def test_parts_of_a_batch_give_the_update_of_the_whole(name, monkeypatch):
    def certain(gap):
        found = fit_gap_mixture(gap)
        found.degenerate = False  # so that the weights of gap, of mean 1 over a batch, act
        return found

    monkeypatch.setattr(mmlib.methods.gap, "fit_gap_mixture", certain)
    data = toys.Lazy(".", "train")
    runs = []
    for parts in (1, 3):
        trained = toys.make(name, data, encoder=toys.Flat, lr=0.02, accumulate=parts)
        history = fit(trained, data, 4, 8, progress=False)
        runs.append((toys.weights(trained), torch.tensor([row["loss"] for row in history])))
    torch.testing.assert_close(runs[0], runs[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["boosting", "detached", "cal"])
def test_methods_that_need_the_whole_batch_refuse_parts(name):
    with pytest.raises(ValueError, match="accumulate is 2, but .*; leave it out"):
        toys.make(name, toys.Lazy(".", "train"), accumulate=2)


def test_parts_cover_every_row_once():
    for count in (1, 2, 7, 8):
        for parts in (1, 2, 3, 10):
            slices = parts_of(count, parts)
            assert [i for part in slices for i in range(count)[part]] == list(range(count))
            assert len(slices) <= parts
    with pytest.raises(ValueError, match="accumulate is 0; give a whole number"):
        toys.make("joint", toys.Lazy(".", "train"), accumulate=0)


def test_step_rate_and_optimisers():
    weight = nn.Parameter(torch.ones(2))
    adam = make_optimizer("adam", iter([weight]), 0.1, 0.01)
    rates = []
    for epoch in range(6):
        step_rate(adam, 0.1, epoch, (2, 5))
        rates.append(adam.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.01, 0.001])
    assert isinstance(adam, torch.optim.Adam) and adam.param_groups[0]["weight_decay"] == 0.01
    sgd = make_optimizer("sgd", [weight], 0.1)
    assert (sgd.defaults["momentum"], sgd.defaults["weight_decay"]) == (0.9, 1e-4)
    with pytest.raises(ValueError, match="optimizer is 'sdg'; choose one of sgd, adam"):
        make_optimizer("sdg", [weight], 0.1)


def test_decay_at_replaces_the_cosine():
    trained = method(epochs=4)
    stepped = make_method("joint", trained.model.encoders, 5, 4, decay_at=(1, 3))
    for epoch, wanted in enumerate((0.2, 0.02, 0.02, 0.002)):
        stepped.plan(epoch)
        assert stepped.optimizer.param_groups[0]["lr"] == pytest.approx(wanted)


def test_channels_last_changes_the_layout_alone():
    with seeded(0):
        encoder = ResNet18(3).eval()
    x = torch.randn(2, 3, 32, 32)
    before = encoder(x)
    changed = use_channels_last(encoder)
    assert changed.trunk.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(changed(x), before, rtol=1e-4, atol=1e-4)


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@needs_cuda
def test_batches_reach_the_gpu_whole():
    data = toys.Lazy(".", "train")
    draws = torch.rand(40, DRAWS)
    for inputs, target, index in batches(data, 7, device="cuda"):
        wanted, wanted_target = take(data, index.cpu())
        torch.testing.assert_close({m: x.cpu() for m, x in inputs.items()}, wanted)
        assert torch.equal(target.cpu(), wanted_target) and index.is_cuda
    inputs, _ = take(data, torch.arange(40), "cuda", draws)
    wanted, _ = take(data, torch.arange(40), draws=draws)
    torch.testing.assert_close({m: x.cpu() for m, x in inputs.items()}, wanted)
    assert not reading_threads()


@needs_cuda
@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_on_the_gpu_and_resumes(name, tmp_path):
    data = toys.Lazy(".", "train")
    path = tmp_path / "checkpoint.pt"
    trained = toys.make(name, data, lr=0.05, device="cuda")
    assert trained.optimizer.defaults["fused"]
    history = fit(trained, data, 4, 8, device="cuda", checkpoint=path, progress=False)
    assert all(row["loss"] == row["loss"] for row in history)
    again = toys.make(name, data, lr=0.05, device="cuda")
    fit(again, data, 4, 8, device="cuda", checkpoint=path, resume=True, progress=False)
    assert torch.equal(toys.weights(trained), toys.weights(again))


@needs_cuda
def test_bfloat16_and_channels_last_on_the_gpu():
    from mmlib.devices import use_precision

    def fast(encoder):
        return use_precision(use_channels_last(encoder), "bfloat16", "cuda")

    data = toys.Lazy(".", "train")
    with seeded(0):
        encoders = {m: fast(SmallCNN(features=16)) for m in data.modalities}
    trained = make_method("joint-unimodal", encoders, 5, 4, device="cuda", lr=0.05)
    history = fit(trained, data, 4, 8, device="cuda", progress=False)
    assert history[-1]["loss"] < history[0]["loss"]

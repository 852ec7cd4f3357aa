"""The loop: plans, data read as it is needed, resumed runs, parts of a batch, rates; bad input."""

import pytest
import torch
from torch import nn

import mmlib.methods.gap
import toys
from mmlib.batches import DRAWS, batches, take
from mmlib.devices import seeded, use_channels_last, use_compiled
from mmlib.encoders import SmallCNN, TextEncoder
from mmlib.evaluation import collect
from mmlib.fusion import ConcatFusion
from mmlib.methods import METHODS, make_method
from mmlib.methods.gap import fit_gap_mixture
from mmlib.training import Plan, fit, make_optimizer, step_rate
from toys import Linear, over_rows, reading_threads, rows


@pytest.mark.parametrize("size", [0, -1, 2.0, "8", None, True])
def test_bad_batch_size(size):
    with pytest.raises(ValueError, match="batch_size is .* whole number of at least 1"):
        fit(over_rows(), rows(), 1, batch_size=size, progress=False)


def test_bad_epochs():
    with pytest.raises(ValueError, match="epochs is 0"):
        fit(over_rows(), rows(), 0, progress=False)


def test_nothing_to_visit():
    with pytest.raises(ValueError, match="0 samples to visit"):
        fit(over_rows(), rows(0), 4, progress=False)


def test_history_tells_what_happened():
    history = fit(over_rows(), rows(), 4, 8, evaluate=lambda m: {"answer": 42.0}, progress=False)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert {row["samples"] for row in history} == {40}
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[0]["answer"] == 42.0 and history[0]["seconds"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_weights(name):
    runs = []
    for seed in (0, 0, 1):
        trained = over_rows(name)
        torch.manual_seed(seed + 17)  # what the caller did with the global generator is no matter
        fit(trained, rows(), 4, 8, seed=seed, progress=False)
        runs.append(toys.weights(trained))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_training_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    fit(over_rows(), rows(), 4, 8, progress=False)
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

    history = fit(Planned(), rows(), 1, 3, progress=False)
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


@pytest.mark.slow
@pytest.mark.parametrize("make", [Growing, *(lambda n=n: over_rows(n) for n in METHODS)])
@pytest.mark.parametrize("epoch", [2, 4])
def test_a_resumed_run_reaches_the_weights_of_an_undisturbed_one(make, epoch, tmp_path):
    whole, stopped, resumed = make(), make(), make()
    history = fit(whole, rows(), 4, 8, progress=False)
    path = tmp_path / "run" / "checkpoint.pt"
    with pytest.raises(Stop):
        fit(stopped, rows(), 4, 8, checkpoint=path, evaluate=stop_in(epoch), progress=False)
    again = fit(resumed, rows(), 4, 8, checkpoint=path, resume=True, progress=False)
    assert torch.equal(toys.weights(whole), toys.weights(resumed))
    assert [row["loss"] for row in again] == [row["loss"] for row in history]
    assert list(path.parent.glob("[!.]*")) == [path]  # nothing half-written is left


def test_a_text_modality_trains_in_the_same_loop():
    data = rows()
    data.inputs = {"text": torch.randint(0, 20, (40, 6)), "audio": data.inputs["audio"]}
    with seeded(0):
        encoders = {"text": TextEncoder(20), "audio": Linear()}
    history = fit(make_method("joint-unimodal", encoders, 5, 6), data, 6, 8, progress=False)
    assert history[-1]["loss"] < history[0]["loss"]


class Plain(toys.Lazy):
    """Without augmentation."""

    def finish(self, inputs, draws=None):
        return super().finish(inputs)


@pytest.mark.slow
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
        fit(toys.make("joint", data), data, 4, 4, progress=False)
    assert not reading_threads()


def test_a_step_that_is_interrupted_leaves_no_thread():
    class Interrupted(Recorder):
        def step(self, *batch):
            raise KeyboardInterrupt

    data = toys.Lazy(".", "train")
    with pytest.raises(KeyboardInterrupt):
        fit(Interrupted(), data, 1, 4, progress=False)
    assert not reading_threads() and data.reads <= 3


def test_after_epoch_ends_the_training():
    seen = []
    history = fit(
        over_rows(),
        rows(),
        4,
        8,
        after_epoch=lambda rows: seen.append(len(rows)) or len(rows) == 2,
        progress=False,
    )
    assert seen == [1, 2] and len(history) == 2


def test_what_after_epoch_ended_stays_ended_and_what_it_sets_up_comes_back(tmp_path):
    path, seen = tmp_path / "a.pt", []

    def run(stop):
        seen.clear()
        ask = lambda rows: seen.append(len(rows)) or len(rows) >= stop  # noqa: E731
        options = {"checkpoint": path, "resume": True, "progress": False}
        return len(fit(over_rows(), rows(), 4, 8, after_epoch=ask, **options))

    assert run(2) == 2 and seen == [1, 2]
    before = path.read_bytes()
    assert run(2) == 2 and seen == [2] and path.read_bytes() == before
    assert run(9) == 4 and seen == [2, 3, 4]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (None, "evaluate returns None; let it return a dict of numbers by name"),
        ({"a": 1.0, "loss": 1.0}, "evaluate returns 'loss', which fit writes itself; rename it"),
    ],
)
def test_what_evaluate_must_not_return(found, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit(over_rows(), rows(), 4, 8, evaluate=lambda method: found, progress=False)


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


def test_no_parts_at_all():
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
    trained = over_rows(epochs=4)
    stepped = make_method("joint", trained.model.encoders, 5, 4, decay_at=(1, 3))
    for epoch, wanted in enumerate((0.2, 0.02, 0.02, 0.002)):
        stepped.plan(epoch)
        assert stepped.optimizer.param_groups[0]["lr"] == pytest.approx(wanted)


@pytest.mark.cuda
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


@pytest.mark.cuda
@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_on_the_gpu_and_resumes(name, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # some kernels add at random
    data = toys.Lazy(".", "train")
    path = tmp_path / "checkpoint.pt"
    whole, stopped, again = (toys.make(name, data, lr=0.05, device="cuda") for _ in range(3))
    options = {"device": "cuda", "progress": False}
    history = fit(whole, data, 4, 8, **options)
    assert all(row["loss"] == row["loss"] for row in history)
    fit(stopped, data, 4, 8, checkpoint=path, after_epoch=lambda rows: len(rows) == 2, **options)
    fit(again, data, 4, 8, checkpoint=path, resume=True, **options)
    assert torch.equal(toys.weights(whole), toys.weights(again))
    assert not torch.equal(toys.weights(whole), toys.weights(stopped))


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["joint-unimodal", "boosting", "detached", "cal"])
def test_compiled_encoders_give_the_same_on_the_gpu(name, monkeypatch):
    """What a graph computes is copied before the next one overwrites it."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    data, found = toys.Lazy(".", "train"), []
    for change in (use_channels_last, lambda x: use_compiled(use_channels_last(x), True)):
        trained = toys.make(name, data, lr=0.01, device="cuda", change=change)
        history = fit(trained, data, 4, 8, device="cuda", progress=False)
        logits = collect(trained.predict, toys.whole(data), "cuda")
        found.append((torch.tensor([row["loss"] for row in history]), logits))
    torch.testing.assert_close(found[1], found[0], rtol=1e-2, atol=1e-2)


@pytest.mark.cuda
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

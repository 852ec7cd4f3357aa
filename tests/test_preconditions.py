"""The door of `fit` and `make_method`: what would be silently wrong, or fail late, is told."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import toys
from mmlib.checkpoints import load_checkpoint
from mmlib.devices import seeded
from mmlib.evaluation import collect
from mmlib.methods import METHODS, make_method
from mmlib.training import fit
from toys import Linear, over_rows, rows


def with_target(change):
    data = rows()
    data.target = change(data.target)
    return data


def with_inputs(change):
    data = rows()
    data.inputs["audio"] = change(data.inputs["audio"])
    return data


def without(name):
    data = rows()
    data.inputs = {m: x for m, x in data.inputs.items() if m != name}
    return data


DATA = {
    "float targets": (lambda: with_target(torch.Tensor.float), "target is torch.float32; .*long"),
    "int32 targets": (lambda: with_target(torch.Tensor.int), "target is torch.int32; .*long"),
    "a column": (lambda: with_target(lambda y: y[:, None]), r"target is \(40, 1\) for 40 samples"),
    "a list of targets": (lambda: with_target(torch.Tensor.tolist), "target is a list; give a ten"),
    "from 1": (lambda: with_target(lambda y: y + 1), r"goes up to 5, .* 5 classes; .* in 0\.\.4"),
    "from -1": (lambda: with_target(lambda y: y - 1), "target holds -1; give classes from 0 on"),
    "more rows": (lambda: with_inputs(lambda x: x.repeat(2, 1)), r"'audio' are \(80, 4\) for 40 t"),
    "fewer rows": (lambda: with_inputs(lambda x: x[:30]), r"'audio' are \(30, 4\) for 40 targets"),
    "numpy": (lambda: with_inputs(torch.Tensor.numpy), "'audio' are a numpy.ndarray; give a tens"),
    "a list": (lambda: with_inputs(torch.Tensor.tolist), "'audio' are a list; give a tensor"),
    "a graph": (lambda: with_inputs(lambda x: Linear()(x)), "'audio' require a gradient; .*detach"),
    "PyTorch's": (lambda: TensorDataset(*torch.zeros(2, 3, 4)), "a TensorDataset; .*Items"),
    "a modality less": (lambda: without("visual"), r"lacks visual \(it has audio, rear\)"),
}


@pytest.mark.parametrize("case", DATA)
def test_data_that_is_refused(case):
    make, words = DATA[case]
    with pytest.raises(ValueError, match=words) as found:
        fit(over_rows(), make(), 4, 8, progress=False)
    assert "\n" not in str(found.value)


def test_other_doors_tell_of_pytorchs_data_sets_too():
    data = TensorDataset(*torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="a TensorDataset; .*Items"):
        collect(over_rows().predict, data)
    with pytest.raises(ValueError, match="a TensorDataset; .*Items"):
        make_method("valuation", {m: Linear() for m in ("audio", "visual")}, 5, 4, dataset=data)


@pytest.mark.parametrize("epochs", [3, 9])
def test_the_method_and_fit_have_as_many_epochs(epochs):
    for name in ("joint", "detached"):
        with pytest.raises(ValueError, match=f"epochs is {epochs}, but the method was made for 4"):
            fit(over_rows(name), rows(), epochs, 8, progress=False)
    history = fit(over_rows(), rows(), 4, 8, after_epoch=toys.stop_after(2), progress=False)
    assert len(history) == 2


@pytest.mark.parametrize("seed", ["0", 1.5, -1, None, 10**30])
def test_bad_seeds(seed):
    for call in (
        lambda: fit(over_rows(), rows(), 4, 8, seed=seed, progress=False),
        lambda: make_method("joint", {"audio": Linear()}, 5, 4, seed=seed),
    ):
        with pytest.raises(ValueError, match="^seed is "):
            call()


NEEDY = ("valuation", "detached", "gap", "modality-dropout")


@pytest.mark.parametrize("name", NEEDY)
def test_another_data_set_than_the_methods(name):
    shuffled = rows()
    shuffled.target = shuffled.target.flip(0)
    for other in (rows(30), shuffled, with_inputs(lambda x: x + 1)):
        with pytest.raises(ValueError, match="the data is not what the method was made with"):
            fit(over_rows(name), other, 4, 8, progress=False)
    fit(over_rows(name), rows(), 4, 8, after_epoch=toys.stop_after(1), progress=False)  # alike


@pytest.mark.skipif(torch.cuda.is_available(), reason="is there")
def test_a_gpu_where_there_is_none():
    with pytest.raises(ValueError, match="device is 'cuda', which is not on this machine"):
        make_method("joint", {"audio": Linear()}, 5, 4, device="cuda")
    with pytest.raises(ValueError, match="device is 'cuda', which is not on this machine"):
        fit(over_rows(), rows(), 4, 8, device="cuda", progress=False)


@pytest.mark.parametrize("name", METHODS)
def test_how_many_modalities_a_method_takes(name):
    kind = METHODS[name][1].__name__
    if kind in ("Joint", "Ensemble"):
        trained = over_rows(name, modalities=("audio",))
        fit(trained, rows(), 4, 8, after_epoch=toys.stop_after(1), progress=False)
        return
    with pytest.raises(ValueError, match=f"^{kind} takes 2( or more)? modalities; .* 1: audio$"):
        over_rows(name, modalities=("audio",))


def diverging(name="joint", **options):
    with seeded(0):
        encoders = {m: Linear() for m in ("audio", "visual")}
    return make_method(name, encoders, 5, 4, dataset=rows(), **options)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    path = tmp_path / "checkpoint.pt"
    method = diverging()
    fit(method, rows(), 4, 8, checkpoint=path, after_epoch=toys.stop_after(1), progress=False)
    good = path.read_bytes()
    method.lr = 1e30
    with pytest.raises(ValueError, match="the loss is nan in epoch 2, .*; try a lower lr"):
        fit(method, rows(), 4, 8, checkpoint=path, resume=True, progress=False)
    assert path.read_bytes() == good and len(load_checkpoint(path, diverging())) == 1


def test_a_weight_that_is_not_finite_is_not_saved(tmp_path):
    """The last step of an epoch spoils it; no loss has seen it yet."""
    method, path = diverging(), tmp_path / "checkpoint.pt"
    step = method.step

    def spoiled(*batch):
        log = step(*batch)
        spoiled.calls += 1
        if spoiled.calls == 10:  # of five an epoch
            with torch.no_grad():
                method.model.head.weight[0, 0] = math.inf
        return log

    spoiled.calls, method.step = 0, spoiled
    with pytest.raises(ValueError, match="a weight is not finite in epoch 2"):
        fit(method, rows(), 4, 8, checkpoint=path, progress=False)
    assert len(load_checkpoint(path, diverging())) == 1


def test_what_a_method_itself_says_of_nan_has_the_epoch():
    data = with_inputs(lambda x: torch.full_like(x, math.nan))
    for name in ("ogm-ge", "detached", "cal"):
        with pytest.raises(ValueError, match="^epoch 1: .*diverge.*; |^epoch 1: .*try a lower lr"):
            method = over_rows(name)
            method.dataset = data
            fit(method, data, 4, 8, progress=False)


class Normed(nn.Module):
    """Linear, and batch normalisation over `(B, 3)`, which takes no single sample."""

    features = 3

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))

    def forward(self, x):
        return self.layers(x)


def normed(name="joint", modalities=("audio", "visual")):
    with seeded(0):
        encoders = {m: Normed() for m in modalities}
    return make_method(name, encoders, 5, 4, dataset=rows())


@pytest.mark.parametrize(("size", "better"), [(39, 40), (13, 14), (1, 2), (3, 4)])
def test_a_last_batch_of_one_where_an_encoder_cannot_take_it(size, better):
    method = normed()
    before = toys.weights(method).clone()
    with pytest.raises(ValueError, match=f"leaves a batch with one of 40 .* batch_size {better}$"):
        fit(method, rows(), 4, size, progress=False)
    assert torch.equal(toys.weights(method), before)
    fit(normed(), rows(), 4, better, after_epoch=toys.stop_after(1), progress=False)


def test_a_last_batch_of_one_that_an_encoder_takes_trains_as_ever():
    found = []
    for probed in (False, True):
        data = toys.whole(toys.Lazy(".", "train"))
        trained = toys.make("joint", data)
        if probed:
            fit(trained, data, 4, 13, progress=False)  # 40 samples: the last batch has one
        else:
            for epoch in range(4):
                order = torch.Generator().manual_seed(epoch)
                trained.plan(epoch)
                for index in torch.randperm(40, generator=order).split(13):
                    inputs = {m: x[index] for m, x in data.inputs.items()}
                    trained.step(inputs, data.target[index], index)
        found.append(toys.weights(trained))
    assert torch.equal(*found)


def test_one_kept_row_in_a_batch_is_normalised_as_in_evaluation():
    method, data = normed(), rows()
    keep = {"audio": torch.arange(8) == 3, "visual": torch.ones(8, dtype=torch.bool)}
    inputs = {m: x[:8] for m, x in data.inputs.items()}
    encoder = method.model.train().encoders["audio"]
    norm = encoder.layers[1]
    with torch.no_grad():
        norm.running_mean += 0.5
        norm.running_var += 1.0
        wanted = encoder.eval()(inputs["audio"][3:4])
        found = method.model.train().features(inputs, keep)["audio"]
    assert norm.training and (norm.running_mean == 0.5).all()
    assert torch.equal(found[3:4], wanted) and not found[:3].any() and not found[4:].any()
    norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
    with pytest.raises(ValueError, match="Normed normalises over a batch and was given one sample"):
        method.step(inputs, data.target[:8], torch.arange(8), keep)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["valuation", "valuation-random-samples", "modality-dropout"])
def test_what_a_plan_leaves_of_a_batch_can_always_be_trained_on(name):
    """Epochs of plans that leave a modality one sample of a batch, or a batch one sample."""
    for seed in range(3):
        method = normed(name)
        method.generator.manual_seed(seed)
        fit(method, rows(), 4, 4, seed, progress=False)


def test_a_mask_of_infinities_is_no_weight_that_diverged():
    method = normed()
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    method.model.encoders["audio"].register_buffer("mask", mask)
    fit(method, rows(), 4, 8, progress=False)


def test_a_method_of_ones_own_may_have_other_things_under_our_names():
    method = normed()
    own = type("Own", (), {"model": method.model, "step": method.step, "plan": method.plan})()
    own.dataset, own.epochs, own.identity = None, 0, "mine"
    assert len(fit(own, rows(), 2, 8, progress=False)) == 2
    own.dataset, own.epochs = "cremad", None
    assert len(fit(own, rows(), 2, 8, progress=False)) == 2


def test_whole_numbers_of_numpy_count():
    for numbers in ((4, 8, 3), map(np.int64, (4, 8, 3))):
        method = normed()
        fit(method, rows(), *numbers, progress=False)
        weights = toys.weights(method)
    assert torch.equal(weights, toys.weights(method))


def test_arrays_of_numpy_are_numbers_where_they_are_one():
    assert make_method("joint", {"audio": Linear()}, np.int64(5), np.int64(4)).epochs == 4

"""Detached learning: who gets a gradient, closed forms, sets of dimensions, the two stages."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from mmlib.data import AVDigits
from mmlib.devices import seeded
from mmlib.encoders import SmallCNN
from mmlib.methods import make_method
from mmlib.methods.detached import (
    certainty_weights,
    duc_loss,
    effective_dimensions,
    separability,
)
from mmlib.training import fit
from toys import stop_after


@pytest.fixture(scope="module")
def data():
    return AVDigits("train", size=128)


def method(data, modalities=("audio", "visual"), epochs=4, **options):
    with seeded(0):
        encoders = {m: SmallCNN() for m in modalities}
    return make_method("detached", encoders, 10, epochs, dataset=data, **options)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parts(count, first, step):
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[first::step] = True
    return chosen


def test_separability_is_the_nearest_mean_rule_of_one_dimension():
    h, target = random(60, 7), torch.arange(60) % 4
    h[:, 3] = 0  # dead: the first class gets everybody
    h[:, 5] = target + 0.01 * h[:, 5]  # planted: tells all classes apart
    means = torch.stack([h[target == c].mean(0) for c in range(4)])
    guess = (h.unsqueeze(1) - means).abs().argmin(1)
    wanted = (guess == target.unsqueeze(1)).float().mean(0)
    torch.testing.assert_close(separability(h, target), wanted)
    assert wanted[5] == 1 and wanted[3] == 0.25
    assert torch.equal(effective_dimensions(h, target), wanted > wanted.mean())


@pytest.mark.parametrize("d", [48, 64, 100, 128])
def test_equal_dimensions_are_none_of_them_effective(d):
    h = random(30, 1).repeat(1, d)
    assert not effective_dimensions(h, torch.arange(30) % 3).any()


def test_permuted_labels_give_chance():
    h, target = random(4000, 8), torch.arange(4000) % 10
    assert separability(h, target).max() < 0.15


def test_a_class_without_samples_is_no_candidate():
    h, target = random(40, 6), torch.arange(40) % 3
    gap = torch.where(target == 2, 7, target)  # classes 2 to 6 do not occur
    torch.testing.assert_close(separability(h, target), separability(h, gap))


def test_many_samples_and_classes_need_no_large_array():
    """The array of N x K x d would hold 2 GB; `make bench` measures the full size."""
    h, target = random(2000, 256), torch.randint(101, (2000,))
    with torch.profiler.profile(profile_memory=True, acc_events=True) as profile:
        separability(h, target)
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert largest < 50e6


def test_contrastive_loss_is_the_double_loop():
    student, teacher = random(5, 6).double(), random(5, 6, seed=1).double()
    chosen, tau, wanted = parts(6, 0, 2), 0.7, 0.0
    for i in range(5):
        s = [sum(student[i, k] * teacher[j, k] for k in (0, 2, 4)) / tau for j in range(5)]
        wanted -= math.log(math.exp(s[i]) / sum(math.exp(x) for x in s)) / 5
    assert duc_loss(student, teacher, chosen, tau).item() == pytest.approx(wanted)


def test_contrastive_gradient_in_closed_form():
    student, teacher = random(5, 6).requires_grad_(), random(5, 6, seed=1).requires_grad_()
    chosen, tau = parts(6, 1, 2), 0.5
    duc_loss(student, teacher, chosen, tau).backward()
    assert teacher.grad is None
    p = (student[:, chosen] @ teacher[:, chosen].T / tau).softmax(1)
    wanted = torch.zeros(5, 6)
    wanted[:, chosen] = (p @ teacher[:, chosen] - teacher[:, chosen]).detach() / (5 * tau)
    torch.testing.assert_close(student.grad, wanted)
    assert not student.grad[:, ~chosen].any()


def test_contrastive_loss_at_a_small_temperature_and_without_dimensions():
    student = (1e3 * random(4, 3)).requires_grad_()
    assert torch.isfinite(duc_loss(student, student, torch.ones(3, dtype=torch.bool), 1e-3))
    loss = duc_loss(student, student, torch.zeros(3, dtype=torch.bool), 1.0)
    loss.backward()
    assert loss == 0 and not student.grad.any()


def test_certainty_weights():
    logits = {head: 3 * random(50, 10, seed=i) for i, head in enumerate(("audio", "visual", "f"))}
    for tau in (0.05, 1.0, 5.0):
        weights = torch.stack(list(certainty_weights(logits, tau).values()))
        torch.testing.assert_close(weights.sum(0), torch.ones(50))
        assert (weights.amax(0) / weights.amin(0)).max() <= math.exp(0.9 / tau) * 1.001
    sure = {"a": torch.tensor([[50.0] + [0.0] * 9]), "b": torch.zeros(1, 10)}
    weights = certainty_weights(sure, 1.0)
    assert (weights["a"] / weights["b"]).item() == pytest.approx(math.exp(0.9), rel=1e-4)
    uniform = certainty_weights(logits, math.inf)
    assert all(torch.allclose(w, torch.tensor(1 / 3)) for w in uniform.values())
    keep = {"audio": torch.arange(50) > 9}
    masked = certainty_weights(logits, 1.0, keep)
    assert not masked["audio"][:10].any() and masked["audio"][10:].all()


def test_no_term_reaches_two_encoders(data):
    """Every loss of stage 1, one by one; the teacher's encoder has no path, not a gradient of 0."""
    trained = method(data)
    trained.measure_dimensions()
    trained.model.train()
    h = trained.model.features({m: x[:32] for m, x in data.inputs.items()})
    target, model = data.target[:32], trained.model
    terms = {(m, head): F.cross_entropy(head(h[m]), target) for m in h for head in (model.shared,)}
    terms |= {(m, model.heads[m]): F.cross_entropy(model.heads[m](h[m]), target) for m in h}
    for (p, q), chosen in trained.teaches.items():
        assert chosen.any()
        terms[q, p] = duc_loss(h[q], h[p], chosen, 1.0)
    assert len(terms) == 6
    for (own, _), loss in terms.items():
        for m, encoder in model.encoders.items():
            sent = torch.autograd.grad(
                loss, list(encoder.parameters()), retain_graph=True, allow_unused=True
            )
            assert all((g is not None) == (m == own) for g in sent), (own, m)
    total = sum(terms.values())
    torch.testing.assert_close(trained.detached_losses(h, target)["loss"], total)


def test_sets_of_dimensions(data):
    trained = method(data)
    trained.measure_dimensions()
    E, T = trained.effective, trained.teaches
    assert torch.equal(T["audio", "visual"], E["audio"] & ~E["visual"])
    assert not (T["audio", "visual"] & T["visual", "audio"]).any()


def test_stages(data):
    trained = method(data, epochs=4, lr=0.1)
    history = fit(trained, data, 4, seed=0, after_epoch=stop_after(3), progress=False)
    assert [row["looked_at"] for row in history] == [0, 128, 0]
    assert history[0]["loss_duc"] == 0 and history[1]["loss_duc"] > 0
    before = copy.deepcopy(trained.model.state_dict())
    assert not trained.model.use_concat
    trained.plan(3)
    trained.step(data.inputs, data.target, torch.arange(128))
    after = trained.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"concat.weight", "concat.bias"}
    logits = trained.predict(data.inputs)
    heads = trained.model.head_logits(trained.model.features(data.inputs))
    w = certainty_weights(heads, 1.0)
    fused = sum(w[k][:, None] * heads[k] for k in ("audio", "visual", "concat"))
    torch.testing.assert_close(logits["fused"], fused.detach())
    assert set(logits) == {"audio", "visual", "fused"}


def test_without_shared_head_and_contrast_it_is_the_ensemble(data):
    trained = method(data, epochs=4, lr=0.1, shared_weight=0.0, duc_weight=0.0)
    with seeded(0):
        encoders = {m: SmallCNN() for m in data.modalities}
    other = make_method("ensemble", encoders, 10, 3, lr=0.1)
    other.model.heads.load_state_dict(trained.model.heads.state_dict())
    fit(trained, data, 4, after_epoch=stop_after(3), progress=False)
    fit(other, data, 3, progress=False)
    for name, value in other.model.state_dict().items():
        torch.testing.assert_close(trained.model.state_dict()[name], value)


def test_three_modalities_and_masked_ones(data):
    inputs = data.inputs | {"rear": data.inputs["visual"].flip(3)}
    three = AVDigits("train", size=128)
    three.inputs = inputs
    trained = method(three, modalities=("audio", "visual", "rear"))
    trained.measure_dimensions()
    assert len(trained.teaches) == 6
    keep = {m: torch.arange(128) % 3 != i for i, m in enumerate(inputs)}
    log = trained.step(inputs, data.target, torch.arange(128), keep)
    assert all(torch.isfinite(value) for value in log.values())
    trained.model.eval()
    logits = trained.model(inputs, keep)
    alone = trained.model({m: inputs[m] for m in inputs}, {m: keep[m] | True for m in keep})
    assert torch.isfinite(logits["fused"]).all() and not torch.equal(
        *[logits["fused"], alone["fused"]]
    )
    nothing = {m: torch.zeros(128, dtype=torch.bool) for m in keep}
    with pytest.raises(ValueError, match="keep masks every head"):
        trained.model(inputs, nothing)


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_weights(data, tmp_path):
    """Stopped before the sets are measured, with the sets, and between the stages."""
    whole = method(data, lr=0.1)
    fit(whole, data, 4, progress=False)
    for stop in (1, 2, 3):
        path = tmp_path / f"{stop}.pt"
        short = {"checkpoint": path, "after_epoch": stop_after(stop), "progress": False}
        fit(method(data, lr=0.1), data, 4, **short)
        again = method(data, lr=0.1)
        fit(again, data, 4, checkpoint=path, resume=True, progress=False)
        for name, value in whole.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[name], value), (stop, name)
        assert torch.equal(again.predict(data.inputs)["fused"], whole.predict(data.inputs)["fused"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: separability(torch.zeros(4, 3), torch.zeros(5)), "same length"),
        (lambda: separability(torch.zeros(4), torch.zeros(4)), r"\(N, d\)"),
        (lambda: separability(torch.full((4, 3), math.nan), torch.arange(4)), "NaN"),
        (lambda: separability(torch.full((4, 3), math.inf), torch.arange(4)), "infinity"),
        (lambda: separability(torch.zeros(4, 3), torch.zeros(4).long()), "1 class; give samples"),
        (lambda: separability(torch.zeros(1, 3), torch.zeros(1).long()), "1 class"),
        (lambda: duc_loss(*torch.zeros(2, 4, 3), parts(3, 0, 1), 0.0), "temperature is 0.0"),
        (lambda: duc_loss(*torch.zeros(2, 4, 3), parts(3, 0, 1), -1), "temperature is -1"),
        (lambda: duc_loss(*torch.zeros(2, 4, 3), parts(3, 0, 1), math.nan), "temperature is nan"),
        (lambda: duc_loss(*torch.zeros(2, 4, 3), parts(2, 0, 1), 1.0), r"bool \(d,\)"),
        (lambda: duc_loss(*torch.zeros(2, 4, 3), torch.arange(3), 1.0), "True and False"),
        (lambda: duc_loss(torch.zeros(4, 3), torch.zeros(5, 3), parts(3, 0, 1), 1.0), "two"),
        (lambda: certainty_weights({"a": torch.zeros(2, 3)}, 0), "temperature is 0"),
        (lambda: certainty_weights({}, 1.0), "one head or more"),
        (
            lambda: certainty_weights({"a": torch.zeros(2, 3), "b": torch.zeros(2, 4)}, 1.0),
            "all alike",
        ),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0.0}, "temperature is 0.0; give a number above 0"),
        ({"certainty_temperature": -1.0}, "certainty_temperature is -1.0"),
        ({"epochs": 1}, "epochs is 1; give a whole number of at least 2"),
        ({"modalities": ("audio",)}, "Detached takes 2 or more modalities; .* 1: audio"),
        ({"head_epochs": 0}, "head_epochs is 0; give a whole number of at least 1"),
        ({"head_epochs": 4}, "head_epochs is 4 of 4 epochs; leave one"),
        ({"start": 3}, "start is 3 and head_epochs is 1 of 4 epochs; leave"),
        ({"shared_weight": -1.0}, "shared_weight is -1.0; give a number of at least 0"),
    ],
)
def test_bad_options(options, words, data):
    with pytest.raises(ValueError, match=words):
        method(data, **options)


def test_encoders_of_different_widths(data):
    encoders = {"audio": SmallCNN(features=32), "visual": SmallCNN()}
    with pytest.raises(ValueError, match="needs equal widths"):
        make_method("detached", encoders, 10, 4, dataset=data)

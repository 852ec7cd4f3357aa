"""CAL: the contribution's identities, exact gradient scaling, the bottleneck, its loop."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from mmlib.data import AVDigits
from mmlib.devices import seeded
from mmlib.encoders import SmallCNN
from mmlib.fusion import BottleneckFusion
from mmlib.methods.cal import (
    CAL,
    confidence,
    contribution_scores,
    contribution_weights,
    gaussian_kl,
    information,
    sample_weights,
    scale_gradient,
)
from mmlib.methods.controls.cal import ByChannels, ByEpoch, ByLoss, BySample
from mmlib.training import fit
from toys import stop_after

READINGS = (CAL, ByEpoch, BySample, ByChannels, ByLoss)


@pytest.fixture(scope="module")
def data():
    return AVDigits("train", size=128)


def method(modalities=("audio", "visual"), epochs=4, code=None, kind=CAL, **options):
    with seeded(0):
        model = BottleneckFusion({m: SmallCNN() for m in modalities}, 10, code)
    return kind(model, epochs, **options)


def sets(**values):
    return {frozenset(name.split("_") if name != "none" else ()): v for name, v in values.items()}


def test_information_adds_up_to_what_all_gain():
    utility = sets(none=0.1, a=0.6, v=0.3, a_v=0.8)
    found = information(utility)
    assert found["a"] == pytest.approx(((0.6 - 0.1) + (0.8 - 0.3)) / 2)
    assert sum(found.values()) == pytest.approx(0.8 - 0.1)
    three = sets(none=0.1, a=0.5, v=0.3, t=0.2, a_v=0.6, a_t=0.55, v_t=0.4, a_v_t=0.7)
    assert sum(information(three).values()) == pytest.approx(0.6)
    harmful = sets(none=0.1, a=0.6, v=0.0, a_v=0.5)
    assert information(harmful)["v"] == 0
    with pytest.raises(ValueError, match="lacks"):
        information(sets(none=0.1, a=0.6, a_v=0.8))
    with pytest.raises(ValueError, match="lacks the empty set"):
        information(sets(a=0.6, v=0.3, a_v=0.8))


def test_confidence_is_0_for_even_and_1_for_certain_logits():
    sure = torch.tensor([[1000.0, 0, 0], [0, 1000.0, 0]])
    D = confidence({"audio": sure, "visual": torch.zeros(2, 3), "fused": sure})
    assert D == {"audio": 1.0, "visual": pytest.approx(0.0, abs=1e-6)}


def test_weights_add_up_and_are_even_for_equal_modalities():
    same = contribution_weights({"a": 0.3, "v": 0.3}, {"a": 0.6, "v": 0.6})
    assert same == {"a": 0.5, "v": 0.5}
    assert contribution_weights({"a": 0.0, "v": 0.0}, {"a": 0.0, "v": 0.0}) == same
    for alpha in (0.0, 0.5, 1.0):
        c = contribution_scores({"a": 0.5, "v": 0.2}, {"a": 0.3, "v": 0.6}, alpha)
        assert sum(c.values()) == pytest.approx(1)
        W = contribution_weights({"a": 0.5, "v": 0.2}, {"a": 0.3, "v": 0.6}, alpha, 0.01)
        assert sum(W.values()) == pytest.approx(1)
        assert (W["a"] > W["v"]) == (c["a"] > c["v"])
    three = contribution_weights(dict.fromkeys("abc", 1.0), dict.fromkeys("abc", 1.0))
    assert all(W == pytest.approx(1 / 3) for W in three.values())


def test_scaled_gradient_is_exact():
    x = torch.randn(4, 3).requires_grad_()
    y = scale_gradient(x, 1.7)
    assert torch.equal(y, x)
    (y**2).sum().backward()
    torch.testing.assert_close(x.grad, 1.7 * 2 * x.detach(), rtol=0, atol=1e-6)


def test_divergence_is_that_of_torch():
    mean, log_variance = torch.randn(2, 6, 5)
    wanted = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(gaussian_kl(mean, log_variance), wanted)
    assert not gaussian_kl(torch.zeros(3, 4), torch.zeros(3, 4)).any()


def test_codes_are_drawn_in_training_and_means_at_test_time(data):
    model = method(code=16).model
    inputs = {m: x[:8] for m, x in data.inputs.items()}
    model.train()
    with torch.no_grad():
        assert not torch.equal(model(inputs)["fused"], model(inputs)["fused"])
        model.eval()
        first, second = model(inputs), model(inputs)
        found = model.distributions(model.encode(inputs))
    assert torch.equal(first["fused"], second["fused"])
    assert found["audio"][0].shape == (8, 16)
    assert torch.equal(model.features(inputs)["audio"], found["audio"][0])
    extreme = {m: 1e6 * x for m, x in inputs.items()}
    assert all(v.abs().max() <= 10 for _, v in model.distributions(model.encode(extreme)).values())


def test_only_encoders_are_accelerated(data):
    """Gradients of encoders are 1 + kappa W times as large, those behind them unchanged."""
    inputs, target = {m: x[:32] for m, x in data.inputs.items()}, data.target[:32]
    grads = []
    for kappa in (0.0, 2.0):
        trained = method(kappa=kappa)
        trained.weights, trained.epoch = {"audio": 0.7, "visual": 0.3}, 3
        trained.model.train()
        trained.loss(trained.logits(inputs, None), target).backward()
        grads.append({n: p.grad.clone() for n, p in trained.model.named_parameters()})
    factor = {"encoders.audio": 2.4, "encoders.visual": 1.6}
    for name, plain in grads[0].items():
        wanted = plain * factor.get(".".join(name.split(".")[:2]), 1.0)
        torch.testing.assert_close(grads[1][name], wanted, rtol=1e-4, atol=1e-6, msg=name)


def test_compression_is_stronger_for_the_weaker():
    trained = method(beta=0.01)
    trained.weights, trained.epoch = {"audio": 0.8, "visual": 0.2}, 3
    assert trained.strengths() == {"audio": pytest.approx(0.004), "visual": pytest.approx(0.016)}
    assert trained.factors() == {"audio": 1.8, "visual": 1.2}
    trained.epoch = 0  # warm-up: even, no acceleration, a first part of beta
    assert trained.factors() == {"audio": 1.0, "visual": 1.0}
    assert trained.strengths() == {"audio": 0.005, "visual": 0.005}


def test_utility_is_the_mean_probability_of_the_truth(data):
    trained = method()
    trained.plan(0)
    trained.model.eval()
    with torch.no_grad():
        z = trained.logits(data.inputs, None)
        utility = trained.utility(data.target)
    for s, m in ((("audio",), "audio"), (("visual",), "visual"), (("audio", "visual"), "fused")):
        p = z[m].softmax(1)[torch.arange(128), data.target].mean().item()
        assert utility[frozenset(s)].mean().item() == pytest.approx(p, abs=1e-5)
    assert (utility[frozenset()] == 0.1).all()


def test_scores_follow_the_batches(data):
    trained = method(decay=0.0, temperature=0.1)
    trained.plan(0)
    log = trained.step(data.inputs, data.target, torch.arange(128))
    quantity, sure = (
        {m: log[f"{kind}_{m}"].item() for m in ("audio", "visual")}
        for kind in ("information", "confidence")
    )
    W = contribution_weights(quantity, sure, 0.5, 0.1)
    assert log["contribution_audio"].item() == pytest.approx(W["audio"], abs=1e-5)
    assert not any(x.requires_grad for x in log.values())


def test_without_its_parts_it_is_joint_with_unimodal_losses_on_codes(data):
    trained = method(kappa=0.0, beta=0.0)
    trained.epoch = 3
    trained.model.eval()
    z = trained.logits(data.inputs, None)
    alone = F.cross_entropy(z["audio"], data.target) + F.cross_entropy(z["visual"], data.target)
    wanted = F.cross_entropy(z["fused"], data.target) + alone
    torch.testing.assert_close(trained.loss(z, data.target), wanted)


def test_the_loss_has_each_bottleneck_at_its_strength(data):
    trained = method(beta=0.5, unimodal_weight=2.0)
    trained.weights, trained.epoch = {"audio": 0.8, "visual": 0.2}, 3
    trained.model.eval()
    keep = {"audio": torch.arange(128) % 4 > 0, "visual": torch.arange(128) % 4 != 1}
    for kept in (None, keep):
        z = trained.logits(data.inputs, kept)
        wanted = F.cross_entropy(z["fused"], data.target)
        for m, beta in (("audio", 0.2), ("visual", 0.8)):
            rows = slice(None) if kept is None else kept[m]
            mean, log_variance = (x[rows] for x in trained.distributions[m])
            wanted = wanted + 2 * F.cross_entropy(z[m], data.target)
            wanted = wanted + beta * gaussian_kl(mean, log_variance).mean() / 64
        torch.testing.assert_close(trained.loss(z, data.target), wanted)


def test_scores_are_running_means(data):
    trained, batch = method(decay=0.9), (data.inputs, data.target, torch.arange(128))
    trained.plan(0)
    wanted = {"audio": 0.5, "visual": 0.5}
    for _ in range(2):
        log = trained.step(*batch)
        kinds = [{m: log[f"{k}_{m}"].item() for m in wanted} for k in ("information", "confidence")]
        new = contribution_scores(*kinds)
        wanted = {m: 0.9 * c + 0.1 * new[m] for m, c in wanted.items()}
        assert trained.scores == pytest.approx(wanted, abs=1e-5)
        assert log["divergence_audio"] > 0


@pytest.mark.parametrize("kind", READINGS)
def test_three_modalities_and_masked_ones(kind, data):
    inputs = data.inputs | {"rear": data.inputs["visual"].flip(3)}
    trained = method(("audio", "visual", "rear"), kind=kind)
    trained.plan(3)
    keep = {m: torch.arange(128) % 3 != i for i, m in enumerate(inputs)}
    log = trained.step(inputs, data.target, torch.arange(128), keep)
    assert all(torch.isfinite(x) for x in log.values())
    total = sum(torch.as_tensor(W) for W in trained.weights.values())
    torch.testing.assert_close(total, torch.ones_like(total))


def test_weights_of_samples_are_those_of_batches_of_one():
    p = torch.rand((4, 5), generator=torch.Generator().manual_seed(0))
    utility = dict(zip(sets(none=0, a=0, v=0, a_v=0), p, strict=False))
    logits = {m: 3 * torch.randn(5, 10) for m in "av"}
    W = sample_weights(utility, logits, alpha=0.3, temperature=0.5)
    for i in range(5):
        quantity = information({s: value[i].item() for s, value in utility.items()})
        one = contribution_weights(
            quantity, confidence({m: logits[m][i : i + 1] for m in "av"}), 0.3, 0.5
        )
        assert {m: W[m][i].item() for m in "av"} == pytest.approx(one, abs=1e-5)
    even = sample_weights(
        dict.fromkeys(utility, torch.ones(5)), {m: torch.zeros(5, 3) for m in "av"}
    )
    assert (even["a"] == 0.5).all() and not even["a"].requires_grad


@pytest.mark.slow
@pytest.mark.parametrize("kind", READINGS)
def test_a_resumed_run_ends_in_the_same_weights(kind, data, tmp_path):
    whole = method(lr=0.1, kind=kind)
    fit(whole, data, 4, progress=False)
    for stop in (1, 3):
        path = tmp_path / f"{stop}.pt"
        short = {"checkpoint": path, "after_epoch": stop_after(stop), "progress": False}
        fit(method(lr=0.1, kind=kind), data, 4, **short)
        again = method(lr=0.1, kind=kind)
        fit(again, data, 4, checkpoint=path, resume=True, progress=False)
        for name, value in whole.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[name], value), (stop, name)
        for m, W in whole.weights.items():
            assert torch.equal(torch.as_tensor(again.weights[m]), torch.as_tensor(W))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: gaussian_kl(torch.zeros(2, 3), torch.full((2, 3), 200.0)),
            "too large for its exponential",
        ),
        (lambda: gaussian_kl(torch.zeros(2, 3), torch.full((2, 3), -math.inf)), "diverge"),
        (lambda: gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 4)), r"give \(B, d\)"),
        (lambda: confidence({"a": torch.zeros(2, 1)}), "two classes or more"),
        (lambda: confidence({"a": torch.full((2, 3), math.nan)}), "NaN"),
        (lambda: contribution_weights({"a": 1.0}, {"b": 1.0}), "the same modalities"),
        (lambda: contribution_weights({"a": -1.0}, {"a": 1.0}), "numbers of 0 or more"),
        (lambda: contribution_weights({"a": math.nan}, {"a": 1.0}), "numbers of 0 or more"),
        (lambda: contribution_weights({"a": 1.0}, {"a": 1.0}, alpha=2), "alpha is 2"),
        (lambda: contribution_weights({"a": 1.0}, {"a": 1.0}, temperature=0), "temperature is 0"),
        (lambda: sample_weights({}, {}, temperature=0), "temperature is 0; give a number above 0"),
        (lambda: method(kappa=-1.0), "kappa is -1.0; give a number of at least 0"),
        (lambda: method(decay=1.0), "decay is 1.0; give a number of at least 0 and below 1"),
        (lambda: method(kappa=math.nan), "kappa is nan"),
        (lambda: method(alpha=2.0), "alpha is 2.0; give a number of at least 0 and of at most 1"),
        (lambda: method(warmup=-1), "warmup is -1"),
        (
            lambda: method(modalities=("audio",)),
            "CAL takes 2 or more modalities; the model has 1: audio",
        ),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()

"""The classical methods: their identities, and what happens to bad input."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmlib.data import AVDigits
from mmlib.devices import seeded
from mmlib.encoders import SmallCNN
from mmlib.evaluation import accuracy
from mmlib.methods import make_method
from mmlib.methods.baselines import Joint, ogm_ge_coefficients, unimodal_loss
from mmlib.training import fit


def encoders(modalities=("audio", "visual")):
    with seeded(0):
        return {m: SmallCNN() for m in modalities}


@pytest.fixture
def batch():
    data = AVDigits("train", size=32)
    return data.inputs, data.target, torch.arange(32)


def gradients(method, batch):
    """Gradients of one step, by parameter name, before the optimiser uses them."""
    seen = {}
    method.optimizer.step = lambda: seen.update(
        {name: p.grad.clone() for name, p in method.model.named_parameters()}
    )
    method.step(*batch)
    return seen


def test_ogm_coefficients_by_hand():
    sure, unsure = torch.tensor([[9.0, 0.0], [0.0, 9.0]]), torch.zeros(2, 2)
    target = torch.tensor([0, 1])
    k = ogm_ge_coefficients({"audio": sure, "visual": unsure}, target, alpha=0.3)
    rho = (1 / (1 + math.exp(-9))) / 0.5
    assert k["visual"] == 1
    assert k["audio"] == pytest.approx(1 - math.tanh(0.3 * rho))


def test_ogm_coefficients_stay_in_their_range():
    generator = torch.Generator().manual_seed(0)
    for scale in (0.1, 10.0, 1000.0):
        logits = {m: scale * torch.randn(8, 5, generator=generator) for m in "abc"}
        target = torch.randint(0, 5, (8,), generator=generator)
        k = ogm_ge_coefficients(logits | {"fused": logits["a"]}, target, alpha=0.8)
        assert set(k) == {"a", "b", "c"}
        assert all(0 < value <= 1 for value in k.values())
        assert max(k.values()) == 1  # the weakest is never braked


def test_equal_modalities_and_alpha_0_brake_nothing():
    z, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    assert ogm_ge_coefficients({"audio": z, "visual": z}, target, 0.8) == {"audio": 1, "visual": 1}
    k = ogm_ge_coefficients({"audio": z, "visual": 5 * z}, target, alpha=0)
    assert k == {"audio": 1, "visual": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": torch.tensor([0, 1])}, "same length"),
        ({"target": torch.tensor([0, 1, 9])}, r"0\.\.2"),
        ({"logits": {"audio": torch.full((3, 3), torch.nan), "visual": torch.zeros(3, 3)}}, "NaN"),
        ({"logits": {"audio": torch.zeros(3, 3)}}, "two modalities or more"),
        ({"alpha": -1.0}, "alpha is -1.0; give a number of at least 0"),
    ],
)
def test_ogm_bad_input(change, words):
    good = {
        "logits": {"audio": torch.zeros(3, 3), "visual": torch.zeros(3, 3)},
        "target": torch.tensor([0, 1, 2]),
        "alpha": 0.5,
    }
    with pytest.raises(ValueError, match=words):
        ogm_ge_coefficients(**good | change)


def test_joint_gradient_at_a_feature_is_the_common_error(batch):
    method = make_method("joint", encoders(), 10, 1)
    inputs, target, _ = batch
    features = method.model.eval().features(inputs)
    for feature in features.values():
        feature.retain_grad()
    z = method.model.classify(features)["fused"]
    F.cross_entropy(z, target).backward()
    error = (z.softmax(1) - F.one_hot(target, 10)) / len(target)
    W = dict(zip(features, method.model.head.weight.split([64, 64], 1), strict=True))
    for m in features:
        torch.testing.assert_close(features[m].grad, error @ W[m])


def test_ensemble_trains_each_network_as_if_it_were_alone(batch):
    both = gradients(make_method("ensemble", encoders(), 10, 1), batch)
    model = make_method("ensemble", encoders(), 10, 1).model
    loss = F.cross_entropy(model.train()(batch[0])["visual"], batch[1])
    loss.backward()
    for name, parameter in model.named_parameters():
        if "visual" in name:
            torch.testing.assert_close(both[name], parameter.grad)
        else:
            assert parameter.grad is None


def test_unimodal_losses_are_added(batch):
    plain = make_method("joint", encoders(), 10, 1)
    more = make_method("joint-unimodal", encoders(), 10, 1, unimodal_weight=0.5)
    logits = plain.model.eval()(batch[0])
    alone = sum(F.cross_entropy(logits[m], batch[1]) for m in ("audio", "visual"))
    torch.testing.assert_close(unimodal_loss(logits, batch[1]), alone)
    torch.testing.assert_close(
        more.loss(logits, batch[1]), plain.loss(logits, batch[1]) + 0.5 * alone
    )


def test_a_clip_shortens_the_gradient_and_keeps_its_direction(batch):
    plain = gradients(make_method("joint", encoders(), 10, 1), batch)
    norm = torch.cat([g.flatten() for g in plain.values()]).norm().item()
    short = gradients(make_method("joint", encoders(), 10, 1, clip=norm / 4), batch)
    loose = gradients(make_method("joint", encoders(), 10, 1, clip=norm * 4), batch)
    for name, gradient in plain.items():
        torch.testing.assert_close(short[name], gradient / 4, rtol=1e-4, atol=1e-7)
        assert torch.equal(loose[name], gradient)


def test_ogm_without_noise_scales_convolutions_and_nothing_else(batch):
    plain = gradients(make_method("joint", encoders(), 10, 1), batch)
    method = make_method("ogm-ge", encoders(), 10, 1, alpha=0.8, noise=False)
    logits = method.model.train()(batch[0])
    k = ogm_ge_coefficients(logits, batch[1], alpha=0.8)
    assert min(k.values()) < 1
    for name, gradient in gradients(method, batch).items():
        scaled = "encoders" in name and gradient.dim() == 4
        wanted = plain[name] * (k[name.split(".")[1]] if scaled else 1)
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-6)


def test_ogm_noise_has_the_deviation_of_the_gradient(batch):
    plain = gradients(make_method("joint", encoders(), 10, 1), batch)
    noisy = gradients(make_method("ogm-ge-noise", encoders(), 10, 1), batch)
    name = "encoders.audio.layers.7.weight"  # the largest convolution
    noise = noisy[name] - plain[name]
    assert noise.std() == pytest.approx(plain[name].std().item(), rel=0.05)
    assert torch.equal(noisy["head.weight"], plain["head.weight"])


class Sized(nn.Sequential):
    """Some layers, and how wide what they give is."""

    features = 4


def layers(kind):
    """An encoder of `(B, 1, 40, 51)` or `(B, 1, 32, 32)`, both cut to 16 numbers."""
    cut = (nn.Flatten(), nn.AdaptiveAvgPool1d(16))
    return {
        "linear": lambda: Sized(*cut, nn.Linear(16, 4)),
        "conv1d": lambda: Sized(*cut, nn.Unflatten(1, (1, 16)), nn.Conv1d(1, 4, 16), nn.Flatten()),
        "one weight": lambda: Sized(
            nn.Conv2d(1, 1, 1, bias=False), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        ),
    }[kind]()


def over(kind, name, **options):
    with seeded(0):
        both = {m: layers(kind) for m in ("audio", "visual")}
    return make_method(name, both, 10, 1, **options)


@pytest.mark.parametrize("kind", ["linear", "conv1d", "one weight"])
def test_ogm_scales_what_weights_an_encoder_has(kind, batch):
    plain = gradients(over(kind, "joint"), batch)
    method = over(kind, "ogm-ge", alpha=0.8, noise=False)
    k = ogm_ge_coefficients(method.model.train()(batch[0]), batch[1], alpha=0.8)
    assert min(k.values()) < 1
    for name, gradient in gradients(method, batch).items():
        scaled = name.startswith("encoders") and name.endswith("weight")
        wanted = plain[name] * (k[name.split(".")[1]] if scaled else 1)
        torch.testing.assert_close(gradient, wanted)
    noisy = gradients(over(kind, "ogm-ge"), batch)
    assert all(gradient.isfinite().all() for gradient in noisy.values())


def test_ogm_refuses_an_encoder_in_which_nothing_is_trained():
    frozen = encoders()
    frozen["audio"].requires_grad_(False)
    with pytest.raises(ValueError, match="the encoder of 'audio' trains no kernel or matrix"):
        make_method("ogm-ge", frozen, 10, 1)


def test_ogm_leaves_frozen_layers_alone(batch):
    partly = encoders()
    partly["audio"].layers[0].requires_grad_(False)
    method = make_method("ogm-ge", partly, 10, 1)
    method.step(*batch)
    assert partly["audio"].layers[0].weight.grad is None


def test_ogm_stops_after_its_epochs(batch):
    method = make_method("ogm-ge", encoders(), 10, 4, modulated_epochs=2)
    logs = []
    for epoch in range(4):
        method.plan(epoch)
        logs.append(method.step(*batch))
    assert ["coefficient_audio" in log for log in logs] == [True, True, False, False]


def test_one_modality_is_unimodal_training():
    data = AVDigits("train", size=200)
    method = make_method("joint", encoders(["audio"]), 10, 8)
    fit(method, data, 8, 32, progress=False)
    logits = method.predict(data.inputs)
    assert set(logits) == {"audio", "fused"}
    torch.testing.assert_close(logits["audio"], logits["fused"])
    assert accuracy(logits["fused"], data.target) > 0.3  # chance is 0.1


def test_bad_settings():
    with pytest.raises(ValueError, match="method is 'oops'; choose one of joint"):
        make_method("oops", encoders(), 10, 1)
    for bad, words in (
        ({"lr": 0}, "lr is 0; give a number above 0"),
        ({"unimodal_weight": -1}, "unimodal_weight is -1; give a number of at least 0"),
        ({"clip": 0}, "clip is 0; give a number above 0"),
    ):
        with pytest.raises(ValueError, match=words):
            make_method("joint", encoders(), 10, 1, **bad)


def test_learning_rate_follows_half_a_cosine():
    method = make_method("joint", encoders(), 10, epochs=10, lr=0.2)
    rates = []
    for epoch in range(10):
        method.plan(epoch)
        rates.append(method.optimizer.param_groups[0]["lr"])
    assert rates[0] == 0.2 and rates[5] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True) and rates[-1] > 0
    assert isinstance(method, Joint)

"""Corruptions: who is hit and how hard, the same samples at every severity, the attack's ball."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from mmlib.data import AVDigits
from mmlib.data.corruptions import (
    blank_words,
    corrupt,
    fgsm,
    gaussian_noise,
    noise_at_snr,
    pgd,
    salt_and_pepper,
)
from mmlib.devices import seeded
from mmlib.encoders import SmallCNN
from mmlib.fusion import ConcatFusion

KINDS = [("visual", "gaussian"), ("visual", "salt-and-pepper"), ("audio", "white-noise")]
KINDS += [("audio", "dropped"), ("visual", "dropped")]


@pytest.fixture(scope="module")
def data():
    return AVDigits("test", size=60)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def moved(before, after, modality):
    return (before.inputs[modality] != after.inputs[modality]).flatten(1).any(1)


@pytest.mark.parametrize(("modality", "kind"), KINDS)
def test_severity_0_changes_nothing_to_the_bit(modality, kind, data):
    same = corrupt(data, modality, kind, 0, probability=1.0)
    for m, x in data.inputs.items():
        assert torch.equal(same.inputs[m], x)
    assert not same.truth["corrupted"].any()


@pytest.mark.parametrize(("modality", "kind"), KINDS)
def test_the_same_samples_are_hit_at_every_severity(modality, kind, data):
    before = {m: x.clone() for m, x in data.inputs.items()}
    weak, strong = (corrupt(data, modality, kind, e) for e in (5, 10))
    other = "audio" if modality == "visual" else "visual"
    for noisy in (weak, strong):
        assert torch.equal(moved(data, noisy, modality), noisy.truth["corrupted"])
        assert torch.equal(noisy.inputs[other], before[other])
    assert torch.equal(weak.truth["corrupted"], strong.truth["corrupted"])
    assert 15 < weak.truth["corrupted"].sum() < 45
    assert torch.equal(data.inputs[modality], before[modality])  # the original is left alone
    assert "corrupted" not in data.truth
    again = corrupt(data, modality, kind, 5)
    assert torch.equal(again.inputs[modality], weak.inputs[modality])
    third = corrupt(data, modality, kind, 5, seed=1)
    assert not torch.equal(third.truth["corrupted"], weak.truth["corrupted"])


def test_a_sample_does_not_depend_on_the_others(data):
    few = AVDigits("test", size=10)
    whole, part = (corrupt(d, "visual", "gaussian", 5) for d in (data, few))
    x = part.inputs["visual"]
    lower, upper = few.inputs["visual"].min(), few.inputs["visual"].max()
    inside = (x > lower) & (x < upper) & (whole.inputs["visual"][:10] < upper)
    assert torch.equal(part.truth["corrupted"], whole.truth["corrupted"][:10])
    shift, other = (
        d.inputs["visual"][:10] - data.inputs["visual"][:10] for d in (part, whole)
    )  # the same noise, but for the deviation that it is measured in
    ratio = few.inputs["visual"].std() / data.inputs["visual"].std()
    torch.testing.assert_close(shift[inside], (other * ratio)[inside], atol=0.02, rtol=0.05)


def test_modalities_are_hit_independently_and_the_record_adds_up(data):
    once = corrupt(data, "visual", "gaussian", 10)
    twice = corrupt(once, "audio", "white-noise", 10)
    audio = moved(once, twice, "audio")
    assert not torch.equal(audio, once.truth["corrupted"])
    assert torch.equal(twice.truth["corrupted"], audio | once.truth["corrupted"])
    depth = SimpleNamespace(inputs={m: torch.rand(40, 1, 8, 8) for m in ("visual", "depth")})
    two = type("Two", (SimpleNamespace,), {"__len__": lambda _: 40})(**vars(depth))
    noise = [
        corrupt(two, m, "gaussian", 5, 1.0).inputs[m][0] - two.inputs[m][0] for m in two.inputs
    ]
    assert not torch.allclose(*noise, atol=0.05)


def test_dropped_is_zero(data):
    gone = corrupt(data, "audio", "dropped", 5)
    hit = gone.truth["corrupted"]
    assert not gone.inputs["audio"][hit].any() and gone.inputs["audio"][~hit].any()


def test_salt_and_pepper_by_severity(data):
    noisy = corrupt(data, "visual", "salt-and-pepper", 10, probability=1.0).inputs["visual"]
    x = data.inputs["visual"]
    changed = noisy != x
    assert changed.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert set(noisy[changed].tolist()) == {x.min().item(), x.max().item()}


def test_noise_has_the_asked_variance_and_stays_in_its_limits(generator):
    x = torch.full((1, 200, 200), 0.5)
    noisy = gaussian_noise(x, 0.3, generator, (-9.0, 9.0))
    assert (noisy - x).std().item() == pytest.approx(0.3, rel=0.02)
    assert (noisy - x).mean().abs() < 0.01
    narrow = gaussian_noise(x, 0.3, generator, (0.0, 1.0))
    assert narrow.min() == 0 and narrow.max() == 1  # clipped on both sides


def test_gaussian_severity_is_in_units_of_the_data(data):
    noisy = corrupt(data, "visual", "gaussian", 10, probability=1.0)
    x, y = data.inputs["visual"], noisy.inputs["visual"]
    inside = (y > x.min()) & (y < x.max()) & (x > 0) & (x < 0.2)
    assert 0.5 < ((y - x)[inside].std() / x.std()).item() <= 1.1
    assert y.min() >= x.min() and y.max() <= x.max()


def test_salt_and_pepper_hits_its_share_on_both_sides(generator):
    x = torch.full((3, 200, 200), 0.4)
    noisy = salt_and_pepper(x, 0.2, generator, (0.0, 1.0))
    hit = noisy[0] != 0.4
    assert hit.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert (noisy[0][hit] == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.equal(noisy[0], noisy[1]) and torch.equal(noisy[0], noisy[2])


@pytest.mark.parametrize("snr", [10.0, 0.0, -10.0])
def test_white_noise_has_the_asked_ratio(snr, generator):
    waveform = 0.1 * torch.sin(torch.arange(64000) / 7)
    noise = noise_at_snr(waveform, snr, generator) - waveform
    ratio = 10 * math.log10(waveform.square().mean() / noise.square().mean())
    assert ratio == pytest.approx(snr, abs=0.1)


def test_white_noise_goes_in_before_the_spectrogram(data):
    weak, strong = (corrupt(data, "audio", "white-noise", e, 1.0) for e in (5, 10))
    loudness = [d.inputs["audio"].mean().item() for d in (data, weak, strong)]
    assert loudness[0] < loudness[1] < loudness[2]
    by_hand = [
        data.audio_input(noise_at_snr(data.waveform(3), -10, torch.Generator().manual_seed(k)))
        for k in range(2)
    ]
    spread = (by_hand[0] - by_hand[1]).abs().mean()  # other draws of the same noise
    assert (strong.inputs["audio"][3] - by_hand[0]).abs().mean() < 1.5 * spread


def test_words(generator):
    tokens = torch.cat([torch.randint(2, 50, (5000,), generator=generator), torch.zeros(99).long()])
    blanked = blank_words(tokens, 0.3, generator, blank=1)
    assert (blanked[:5000] == 1).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert not blanked[5000:].any()
    kept = blanked != 1
    assert torch.equal(blanked[kept], tokens[kept])
    text = SimpleNamespace(inputs={"text": tokens[:60].view(12, 5)}, target=torch.zeros(12))
    data = type("Text", (SimpleNamespace,), {"__len__": lambda _: 12})(**vars(text))
    assert (corrupt(data, "text", "blank-words", 10, 1.0).inputs["text"] == 1).all()


@pytest.fixture
def model():
    with seeded(0):
        return ConcatFusion({m: SmallCNN() for m in ("audio", "visual")}, 10).eval()


def test_attacks_stay_in_their_ball_and_raise_the_loss(data, model):
    inputs = {m: x[:20] for m, x in data.inputs.items()}
    target = data.target[:20]

    def loss(x):
        with torch.no_grad():
            return F.cross_entropy(model(x)["fused"], target).item()

    losses = [loss(inputs)]
    start = torch.Generator().manual_seed(0)
    for attack in (fgsm, pgd, lambda *a: pgd(*a, step_size=1.0, generator=start)):
        attacked = attack(model, inputs, target, "visual", 0.1)
        distance = attacked["visual"].double() - inputs["visual"].double()
        assert distance.abs().max() <= 0.1 + 1e-6 and distance.abs().max() > 0.09
        assert torch.equal(attacked["audio"], inputs["audio"])
        losses.append(loss(attacked))
    assert min(losses[1:]) > losses[0] and losses[2] >= losses[1] - 1e-3
    limits = inputs["visual"].min().item(), 1.0
    inside = pgd(model, inputs, target, "visual", 0.3, limits=limits)["visual"]
    assert inside.min() >= limits[0] and inside.max() <= 1.0
    nothing = pgd(model, inputs, target, "visual", 0.0)
    assert torch.equal(nothing["visual"], inputs["visual"])
    assert all(p.grad is None for p in model.parameters()) and not model.training


def test_attack_leaves_the_training_mode(data, model):
    model.train()
    model.encoders["visual"].eval()  # frozen
    statistics = model.encoders["audio"].layers[2].running_mean.clone()
    with torch.no_grad():
        fgsm(model, {m: x[:4] for m, x in data.inputs.items()}, data.target[:4], "audio", 0.1)
    assert model.training and not model.encoders["visual"].training
    with pytest.raises(IndexError):
        fgsm(model, data.inputs, torch.full((60,), 99), "audio", 0.1)
    assert model.training
    assert torch.equal(model.encoders["audio"].layers[2].running_mean, statistics)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda d: corrupt(d, "visual", "gaussian", 11), ValueError, r"severity is 11; .* 10\]"),
        (lambda d: corrupt(d, "visual", "gaussian", -1), ValueError, "severity is -1"),
        (lambda d: corrupt(d, "visual", "gaussian", math.nan), ValueError, "severity is nan"),
        (lambda d: corrupt(d, "visual", "gaussian", 5, 1.5), ValueError, "probability is 1.5"),
        (lambda d: corrupt(d, "visual", "rain", 5), ValueError, "'rain'; choose one of gaussian"),
        (lambda d: corrupt(d, "audio", "gaussian", 5), ValueError, "does not fit 'audio'"),
        (lambda d: corrupt(d, "visual", "white-noise", 5), ValueError, "it is for audio"),
        (lambda d: corrupt(d, "visual", "blank-words", 5), ValueError, "it is for text"),
        (lambda d: corrupt(d, "smell", "dropped", 5), KeyError, "has audio, visual"),
    ],
)
def test_bad_input(call, error, words, data):
    with pytest.raises(error, match=words):
        call(data)


def test_bad_numbers(generator, data, model):
    for waveform in (torch.zeros(100), torch.full((100,), math.nan)):
        with pytest.raises(ValueError, match="not silent"):
            noise_at_snr(waveform, 0, generator)
    with pytest.raises(ValueError, match="density is 2"):
        salt_and_pepper(torch.zeros(1, 4, 4), 2, generator, (0, 1))
    with pytest.raises(ValueError, match="snr_db is nan"):
        noise_at_snr(torch.ones(10), math.nan, generator)
    for epsilon in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"epsilon is {epsilon}"):
            pgd(model, data.inputs, data.target, "visual", epsilon)
    with pytest.raises(ValueError, match="only real numbers can be moved"):
        pgd(model, {"text": torch.ones(2, 3).long()}, torch.zeros(2).long(), "text", 0.1)
    bytes_only = SimpleNamespace(inputs={"visual": torch.zeros(2, 1, 4, 4, dtype=torch.uint8)})
    with pytest.raises(ValueError, match="give pictures in floating point"):
        corrupt(bytes_only, "visual", "gaussian", 5)
    with pytest.raises(ValueError, match="lacks waveform"):
        corrupt(SimpleNamespace(inputs={"audio": torch.zeros(2, 3)}), "audio", "white-noise", 5)
    with pytest.raises(KeyError, match="inputs hold audio, visual"):
        pgd(model, data.inputs, data.target, "smell", 0.1)

"""The released baselines' noise: each quirk of its list, seen."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as TF

from mmlib.data import MVSASingle, NYUDepthV2, mvsa, nyud2
from mmlib.data.reading.transforms import resized_crop, whole_boxes
from mmlib.data.released_noise import released_noise


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def many(sample, count=400, **options):
    g = generator()
    return [released_noise(sample, generator=g, **options) for _ in range(count)]


DARK = torch.full((3, 20, 24), 10, dtype=torch.uint8)
BRIGHT = torch.full((3, 20, 24), 250, dtype=torch.uint8)


def test_gaussian_noise_is_one_plane_that_never_changes_and_wraps_below():
    hit = [s["visual"] for s in many({"visual": DARK}, data="mvsa-single", severity=5)]
    changed = [x for x in hit if not torch.equal(x, DARK)]
    assert 0.4 < len(changed) / len(hit) < 0.6
    assert all(torch.equal(x, changed[0]) for x in changed)
    assert torch.equal(changed[0][0], changed[0][2])
    # the formula of the released code, with its arrays
    noise = np.random.RandomState(0).normal(scale=50, size=(20, 24, 1)).repeat(3, 2)
    moved = noise + DARK.permute(1, 2, 0).numpy()
    moved[moved > 255] = 255
    wanted = moved.astype("int64").astype("uint8")
    assert (changed[0].permute(1, 2, 0).numpy() == wanted).all()
    assert (changed[0] > 128).float().mean() > 0.3  # dark that became bright
    bright = next(
        s["visual"]
        for s in many({"visual": BRIGHT}, data="mvsa-single", severity=10)
        if not torch.equal(s["visual"], BRIGHT)
    )
    assert (bright == 255).float().mean() > 0.4  # clipped above


def test_severity_means_ten_times_less_on_nyud2_and_both_images_share_the_noise():
    sample = {"visual": BRIGHT - 125, "depth": BRIGHT - 125}
    both = 0
    for s in many(sample, data="nyud2", severity=5):
        moved = {m: s[m].double() - 125 for m in s}
        both += all(x.any() for x in moved.values())
        if all(x.any() for x in moved.values()):
            assert torch.equal(s["visual"], s["depth"])
            assert moved["visual"].std() == pytest.approx(5, rel=0.15)
    assert 0.17 < both / 400 < 0.33


def test_salt_and_pepper_reaches_one_image_in_twenty_at_most():
    options = {"data": "mvsa-single", "severity": 10, "kind": "salt-and-pepper"}
    hit = [s["visual"] for s in many({"visual": BRIGHT - 125}, 2000, **options)]
    changed = [x for x in hit if (x != 125).any()]
    assert 0.03 < len(changed) / len(hit) < 0.07
    extreme = torch.stack([(x == 0) | (x == 255) for x in changed]).float().mean()
    assert extreme == pytest.approx(0.1, abs=0.01)


def test_words_become_underscores():
    text = "one two three four five six"
    for severity, share in ((5, 0.5), (10, 1.0)):
        found = [s["text"] for s in many({"text": text}, data="mvsa-single", severity=severity)]
        hit = [t for t in found if t != text]
        assert 0.4 < len(hit) / len(found) < 0.6
        lost = sum(t.split(" ").count("_") for t in hit) / len(hit) / 6
        assert lost == pytest.approx(share, abs=0.06)


def noisy_grey(picture, deviation):
    """QMF's noise on a PIL picture, which shows where in its list of transforms it stands."""
    pixels = np.array(picture)
    noise = np.random.RandomState(0).normal(scale=deviation, size=(*pixels.shape[:2], 1))
    moved = noise.repeat(3, 2) + pixels
    moved[moved > 255] = 255
    return Image.fromarray(moved.astype("int64").astype("uint8"))


def through_the_gate(sample, **options):
    """The first of many draws that changes all modalities."""
    for noisy in many(sample, **options):
        if all(not torch.equal(noisy[m], x) for m, x in sample.items()):
            return noisy


def rewritten(path, pixels):
    Image.fromarray(pixels).save(path, format="PNG")  # PIL goes by the content
    return Image.fromarray(pixels)


@pytest.mark.slow
def test_on_mvsa_noise_comes_after_the_resizing_and_before_the_crop(own):
    data = MVSASingle(own("mvsa-single"), "test", cache=False)
    path, rng = data.sources(0)[0], np.random.default_rng(0)
    for shape, most in (((300, 300, 3), 0.01), ((300, 500, 3), np.inf)):
        picture = rewritten(path, rng.integers(100, 156, shape, dtype=np.uint8))
        wanted = TF.center_crop(noisy_grey(TF.resize(picture, 256), 50), 224)
        wanted = TF.normalize(TF.to_tensor(wanted), *mvsa.STATISTICS)
        raw = data.take(torch.tensor([0]))
        clean = data.finish(raw)["visual"][0]
        noisy = through_the_gate({"visual": raw["visual"][0]}, data="mvsa-single", severity=5)
        found = data.finish(raw | {"visual": noisy["visual"][None]})["visual"][0]
        assert (found - wanted).abs().max() < most  # a wide picture has another plane of noise
        strength = [(x - clean).std().item() for x in (found, wanted)]
        assert strength[0] == pytest.approx(strength[1], rel=0.03)


@pytest.mark.slow
def test_on_nyud2_noise_comes_last_and_is_not_smoothed(own):
    data = NYUDepthV2(own("nyud2"), "test", cache=False)
    smooth = np.linspace(60, 200, 640).repeat(3).reshape(1, 640, 3).repeat(240, 0).astype(np.uint8)
    pair = rewritten(data.sources(0)[0], smooth)
    raw = data.take(torch.tensor([0]))
    with pytest.raises(ValueError, match="visual is 256 x 256; resize it to 224 x 224, then add"):
        through_the_gate({m: x[0] for m, x in raw.items()}, data="nyud2", severity=5)
    small = {m: resized_crop(x, whole_boxes(1, 256, 256), 224).byte() for m, x in raw.items()}
    noisy = through_the_gate({m: x[0] for m, x in small.items()}, data="nyud2", severity=5)
    finished = data.finish({m: x[None] for m, x in noisy.items()})
    for m, left in (("visual", 0), ("depth", 320)):
        half = pair.crop((left, 0, left + 320, 240)).resize((256, 256), Image.Resampling.BICUBIC)
        half = TF.resize(half, [224, 224])
        wanted = TF.normalize(TF.to_tensor(noisy_grey(half, 5)), *nyud2.STATISTICS)
        assert (finished[m][0] - wanted).abs().max() < 1.1 / 255 / 0.1474  # one level
        moved = 255 * (TF.to_tensor(noisy_grey(half, 5)) - TF.to_tensor(half))
        assert moved.std() == pytest.approx(5, rel=0.02)


def test_severity_0_changes_nothing():
    sample = {"visual": DARK, "text": "a b"}
    for s in many(sample, 20, data="mvsa-single", severity=0):
        assert torch.equal(s["visual"], DARK) and s["text"] == "a b"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": "sun"}, "data is 'sun'; choose one of mvsa-single, nyud2"),
        ({"data": "nyud2", "kind": "salt-and-pepper"}, "choose one of gaussian"),
        ({"data": "nyud2", "severity": 11}, "severity is 11"),
        ({"data": "nyud2", "sample": {"visual": DARK.float()}}, "uint8 image"),
    ],
)
def test_bad_input(options, words):
    options = {"sample": {"visual": DARK}, "severity": 5} | options
    with pytest.raises(ValueError, match=words):
        released_noise(generator=generator(), **options)

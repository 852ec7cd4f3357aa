"""The released baselines' noise: each quirk of its list, seen."""

import numpy as np
import pytest
import torch

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

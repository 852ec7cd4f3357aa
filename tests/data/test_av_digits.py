"""AV-Digits: contract, determinism, disjoint splits, truth, and what happens to bad input."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from mmlib import files
from mmlib.data import AVDigits, av_digits, log_mel
from mmlib.data.av_digits import SCENARIOS, WORD_LEVEL
from mmlib.data.reading.digits import scans, spoken_digits

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def small():
    return {scenario: AVDigits("val", scenario, size=300) for scenario in SCENARIOS}


@pytest.mark.slow
def test_contract(small):
    data = small["imbalanced"]
    assert data.inputs["audio"].shape == (300, 1, 40, 51)
    assert data.inputs["visual"].shape == (300, 1, 32, 32)
    assert {x.dtype for x in data.inputs.values()} == {torch.float32}
    assert data.target.shape == (300,) and data.target.dtype == torch.int64
    assert set(data.target.tolist()) == set(range(10)) and len(data.classes) == 10
    inputs, target, index = data[7]
    assert torch.equal(inputs["visual"], data.inputs["visual"][7])
    assert target == data.target[7] and index == 7
    assert data.waveform(7).shape == (6400,) and data.sample_rate == 8000
    assert all(len(values) == 300 for values in data.truth.values())


@pytest.fixture(scope="module")
def whole():
    return {split: AVDigits(split) for split in ("train", "val", "test")}


@pytest.mark.slow
def test_default_sizes(whole):
    assert [len(data) for data in whole.values()] == [3000, 1000, 2000]


@pytest.mark.slow
def test_the_sound_one_hears_is_the_sound_the_network_gets(small):
    data = small["corrupted"]
    again = data.audio_input(torch.stack([data.waveform(i) for i in range(20)]))
    torch.testing.assert_close(again, data.inputs["audio"][:20])


def test_same_seed_same_data_and_a_smaller_set_is_a_prefix(small):
    again = AVDigits("val", "corrupted", size=40)
    for m, x in again.inputs.items():
        assert torch.equal(x, small["corrupted"].inputs[m][:40])
    other = AVDigits("val", "corrupted", size=40, seed=1)
    assert not torch.equal(other.inputs["visual"], again.inputs["visual"])
    assert not torch.equal(other.target, again.target)


@pytest.mark.slow
def test_splits_share_no_scan_and_no_voice_whatever_the_seeds(whole):
    others = {split: AVDigits(split, size=600, seed=1) for split in whole}
    for key in ("scan", "voice"):
        seen = {
            split: {*data.truth[key].tolist(), *others[split].truth[key].tolist()}
            for split, data in whole.items()
        }
        assert not seen["train"] & seen["val"]
        assert not seen["train"] & seen["test"]
        assert not seen["val"] & seen["test"]
        if key == "voice":
            assert len(seen["train"]) == 20


def test_the_pair_shows_and_says_the_same_digit(small):
    data = small["imbalanced"]
    drawn = scans()[1]
    assert torch.equal(torch.from_numpy(drawn)[data.truth["scan"]], data.target)
    spoken = spoken_digits().digit
    clips = torch.tensor([draw.clip for draw in data._draws])
    assert torch.equal(torch.from_numpy(spoken)[clips], data.target)


@pytest.mark.slow
def test_shares_of_ruined_modalities(whole):
    wanted = {"imbalanced": (0, 0), "samplewise": (0.5, 0.5), "corrupted": (0.1, 0.3)}
    for scenario, shares in wanted.items():
        data = whole["test"] if scenario == "imbalanced" else AVDigits("test", scenario)
        ruined = data.truth["ruined"]
        for code, share in enumerate(shares, start=1):
            assert (ruined == code).float().mean() == pytest.approx(share, abs=0.035)


def test_truth_is_what_was_done(small):
    for data in (small["imbalanced"], small["corrupted"]):
        ruined = data.truth["ruined"]
        assert (data.truth["audio_snr_db"][ruined == 1] == av_digits.RUINED_SNR_DB).all()
        assert (data.truth["audio_snr_db"][ruined != 1] >= 0).all()
        for i in range(20):
            draw, sound = data._draws[i], data.waveform(i)
            word = len(spoken_digits().clips[draw.clip])
            start = int(draw.start * (len(sound) - word + 1))
            noise = torch.cat([sound[:start], sound[start + word :]])
            measured = 20 * np.log10(WORD_LEVEL / noise.std().item())
            assert measured == pytest.approx(data.truth["audio_snr_db"][i].item(), abs=0.6)
    clutter = small["corrupted"].truth["visual_clutter"]
    ruined = small["corrupted"].truth["ruined"] == 2
    assert clutter[ruined].min() > clutter[~ruined].max()
    assert (small["flipped"].truth["visual_clutter"] == 0).all()


@pytest.mark.slow
def test_training_audio_is_standardised():
    for scenario in SCENARIOS:
        audio = AVDigits("train", scenario, size=500).inputs["audio"]
        assert abs(audio.mean()) < 0.05 and abs(audio.std() - 1) < 0.05


def test_log_mel_puts_a_tone_into_its_band():
    time = torch.arange(6400) / 8000
    low, high = (log_mel(torch.sin(2 * torch.pi * f * time), 8000).mean(1) for f in (300, 3000))
    assert low.shape == (40,)
    assert low.argmax() < 10 < 30 < high.argmax()


@pytest.mark.parametrize("size", [0, -3, 2.5, "10", True])
def test_bad_size(size):
    with pytest.raises(ValueError, match="size is .* whole number of at least 1"):
        AVDigits("val", size=size)


def test_bad_split_scenario_and_seed():
    with pytest.raises(ValueError, match="split is 'dev'; choose one of train, val, test"):
        AVDigits("dev")
    with pytest.raises(ValueError, match="scenario is 'noisy'; choose one of imbalanced"):
        AVDigits("val", "noisy")
    with pytest.raises(ValueError, match="seed is -1"):
        AVDigits("val", size=5, seed=-1)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A package folder with a copy of the asset, and no memory of the true one."""
    monkeypatch.setattr(files, "__file__", str(tmp_path / "mmlib/files.py"))
    (tmp_path / "assets").mkdir()
    copy = tmp_path / "assets/spoken_digits.npz"
    shutil.copy(ROOT / "assets/spoken_digits.npz", copy)
    spoken_digits.cache_clear()
    yield copy
    spoken_digits.cache_clear()


def test_whole_asset_is_found_beside_the_package(elsewhere):
    assert len(spoken_digits().clips) == 1010


def test_missing_asset(elsewhere):
    elsewhere.unlink()
    with pytest.raises(FileNotFoundError, match=r"spoken_digits.npz is missing; restore it"):
        AVDigits("val", size=2)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1] + b"?"])
def test_damaged_asset(elsewhere, damage):
    elsewhere.write_bytes(damage(elsewhere.read_bytes()))
    with pytest.raises(ValueError, match="is damaged or of another version.*restore it"):
        AVDigits("val", size=2)


def _espeak_version() -> str:
    if shutil.which("espeak-ng") is None:
        return "none"
    return subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True).stdout


@pytest.mark.skipif("1.51" not in _espeak_version(), reason="needs espeak-ng 1.51")
def test_the_script_makes_the_clips_of_the_asset():
    spec = importlib.util.spec_from_file_location("make", ROOT / "assets/make_spoken_digits.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    asset = np.load(ROOT / "assets/spoken_digits.npz")
    clips = np.split(asset["codes"], np.cumsum(asset["length"])[:-1])
    table = make.voices()
    for voice, digit in ((0, 3), (50, 7), (100, 0)):
        clip = make.mu_law_encoding(make.speak(make.WORDS[digit], *table[voice]), 256)
        assert np.array_equal(clip.numpy().astype(np.uint8), clips[10 * voice + digit])

"""Spectrogram recipes: what comes out of them is what the released loaders compute."""

import librosa
import numpy as np
import pytest
import torch
from scipy import signal
from torchaudio.compliance import kaldi
from torchaudio.functional import resample

from mmlib.data.av_digits import AVDigits
from mmlib.data.spectrograms import RECIPES, spectrogram

SHAPES = {
    "ogm": (257, 188),
    "pmr": (257, 299),
    "pmr-10s": (257, 1004),
    "aug": (257, 1250),
    "aug-kinetics": (257, 1003),
    "mla": (129, 626),
    "fbank": (1024, 128),
    "mla-fbank": (1024, 128),
}
BANKS = [name for name in RECIPES if "fbank" in name]
CUT = [name for name in RECIPES if "fbank" not in name]


def librosa_original(samples, sample_rate, seconds, n_fft, hop):
    """OGM-GE, AUG and MLA: repeat, cut, clip, STFT, logarithm."""
    copies = np.tile(samples, 30)[: int(seconds * sample_rate)]
    copies[copies > 1.0] = 1.0
    copies[copies < -1.0] = -1.0
    return np.log(np.abs(librosa.stft(copies, n_fft=n_fft, hop_length=hop)) + 1e-7)


def scipy_original(samples, seconds, standardised):
    """PMR and DI-MML."""
    copies = np.tile(samples, 10)[: seconds * 16_000]
    copies[copies > 1.0] = 1.0
    copies[copies < -1.0] = -1.0
    _, _, power = signal.spectrogram(copies, 16_000, nperseg=512, noverlap=353)
    values = np.log(np.abs(power) + 1e-7)
    return (values - np.mean(values)) / (np.std(values) + 1e-9) if standardised else values


def kaldi_original(samples, sample_rate, normalised):
    """OGM-GE on Kinetics-Sounds, and MLA."""
    waveform = torch.from_numpy(samples).unsqueeze(0)
    waveform = waveform - waveform.mean()
    bank = kaldi.fbank(
        waveform,
        htk_compat=True,
        sample_frequency=sample_rate,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=128,
        dither=0.0,
        frame_shift=10,
    )
    missing = 1024 - bank.shape[0]
    bank = torch.nn.ZeroPad2d((0, 0, 0, missing))(bank) if missing > 0 else bank[:1024]
    return ((bank + 4.503877) / (2 * 5.141276) if normalised else bank).numpy()


ORIGINALS = {
    "ogm": lambda x: librosa_original(x, 22_050, 3, 512, 353),
    "pmr": lambda x: scipy_original(x, 3, False),
    "pmr-10s": lambda x: scipy_original(x, 10, True),
    "aug": lambda x: librosa_original(x, 22_050, 20, 512, 353),
    "aug-kinetics": lambda x: librosa_original(x, 35_400, 10, 512, 353),
    "mla": lambda x: librosa_original(x, 16_000, 5, 256, 128),
    "fbank": lambda x: kaldi_original(x, 16_000, True),
    "mla-fbank": lambda x: kaldi_original(x, 16_000, False),
}


def noise(rate, seconds, deviation=0.1, seed=0):
    random = np.random.default_rng(seed)
    return deviation * random.standard_normal(int(seconds * rate), dtype=np.float32)


def speech(rate, words=6):
    """Words of the course's clips, with pauses, in the 16 bits of a file."""
    data = AVDigits("test", size=words)
    sound = torch.cat([data.waveform(i) for i in range(words)])
    sound = resample(sound, data.sample_rate, rate).clamp(-1, 1).numpy()
    return np.round(sound * 32767).astype(np.float32) / 32768


def silence(rate):
    return np.zeros(int(2.5 * rate), dtype=np.float32)


SOUNDS = {
    "noise": lambda rate: noise(rate, 2.7),
    "clipped": lambda rate: noise(rate, 1.3, deviation=1.0),
    "long": lambda rate: noise(rate, 22),
    "speech": speech,
    "silence": silence,
}


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("name", RECIPES)
def test_equal_to_the_original(name, sound):
    rate = RECIPES[name].sample_rate
    samples = SOUNDS[sound](rate)
    # standardised in single precision, silence is divided by the deviation of its rounding
    exact = name == "pmr-10s" and sound == "silence"
    expected = ORIGINALS[name](samples.astype(np.float64) if exact else samples.copy())
    found = spectrogram(torch.from_numpy(samples), rate, name)
    assert found.shape == expected.shape == SHAPES[name] == RECIPES[name].shape
    assert found.dtype == torch.float32
    assert np.abs(found.numpy() - expected).max() < 1e-3
    assert sound == "silence" or found.std() > 0.1  # something was compared


def test_every_recipe_is_compared():
    assert set(RECIPES) == set(ORIGINALS) == set(SHAPES)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_filter_banks_take_the_recordings_own_rate(rate):
    samples = noise(rate, 3)
    found = spectrogram(torch.from_numpy(samples), rate, "fbank").numpy()
    assert np.abs(found - kaldi_original(samples, rate, True)).max() < 1e-3
    other = spectrogram(torch.from_numpy(samples), 16_000, "fbank").numpy()
    assert np.abs(found - other)[:200].max() > 0.1


@pytest.mark.parametrize("name", CUT)
def test_a_short_clip_is_repeated_and_a_long_one_cut(name):
    rate, seconds = RECIPES[name].sample_rate, RECIPES[name].seconds
    sound = torch.from_numpy(noise(rate, 0.1))
    whole = spectrogram(sound, rate, name)
    assert torch.equal(whole, spectrogram(sound.repeat(4), rate, name))
    assert torch.equal(whole, spectrogram(sound.repeat(10 * seconds + 7), rate, name))


@pytest.mark.parametrize("name", ["mla", "ogm"])
def test_start_moves_the_cut(name):
    rate = RECIPES[name].sample_rate
    for seconds in (2.0, 12.0):  # repeated; long enough
        sound = torch.from_numpy(noise(rate, seconds))
        moved = spectrogram(sound, rate, name, start=1.5)
        rolled = spectrogram(sound.roll(-int(1.5 * rate)), rate, name)
        assert torch.equal(moved, rolled)
        assert not torch.equal(moved, spectrogram(sound, rate, name))


def test_a_filter_bank_is_filled_up_with_zeros_after_the_logarithm():
    sound = torch.from_numpy(noise(16_000, 1))
    plain, normalised = (spectrogram(sound, 16_000, name) for name in ("mla-fbank", "fbank"))
    assert plain[98:].eq(0).all() and plain[:98].ne(0).all()  # 1 + (16,000 - 400) // 160 frames
    torch.testing.assert_close(normalised, (plain + 4.503877) / 10.282552)


def test_silence_is_the_floor():
    for name in CUT:
        how = RECIPES[name]
        found = spectrogram(torch.zeros(1000), how.sample_rate, name)
        floor = 0.0 if how.standardised else float(np.log(1e-7))
        torch.testing.assert_close(found, torch.full(how.shape, floor), atol=1e-4, rtol=0)


def test_the_waveform_is_left_alone():
    sound = torch.from_numpy(noise(22_050, 1, deviation=1.0))
    before = sound.clone()
    for name, how in RECIPES.items():
        spectrogram(sound, how.sample_rate, name)
    assert torch.equal(sound, before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((torch.zeros(99), 22_050, "mel"), "recipe is 'mel'; choose one of ogm, pmr"),
        ((torch.zeros(0), 22_050, "ogm"), r"shape \(0,\); give \(samples,\), one or more"),
        ((torch.zeros(2, 99), 22_050, "ogm"), r"shape \(2, 99\)"),
        ((torch.full((99,), torch.nan), 22_050, "ogm"), "not finite"),
        ((torch.zeros(99), 16_000, "ogm"), "sample_rate is 16000; resample to 22050 Hz"),
        ((torch.zeros(399), 16_000, "fbank"), "has 399 samples; .* 25 ms, at 16000 Hz 400"),
        ((torch.zeros(99), 22_050, "ogm", -1.0), "start is -1.0"),
        ((torch.zeros(99), 22_050, "ogm", float("nan")), "start is nan"),
        ((torch.zeros(999), 16_000, "fbank", 1.0), "for a filter bank only 0"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises(ValueError, match=words):
        spectrogram(*arguments)
    assert spectrogram(torch.zeros(400), 16_000, "fbank").isfinite().all()

"""Spectrogram recipes: what comes out of them is what the released loaders compute."""

import json
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from scipy import signal
from torchaudio.compliance import kaldi
from torchaudio.functional import resample

from mmlib.commands.presets import PRESETS
from mmlib.data.av_digits import AVDigits
from mmlib.data.reading.media import read_first_channel, read_sound
from mmlib.data.spectrograms import RECIPES, spectrogram
from voices import voice

SHAPES = {
    "ogm": (257, 188),
    "pmr": (257, 299),
    "pmr-10s": (257, 1004),
    "di-mml": (257, 1004),
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


def scipy_original(samples, sample_rate, count, standardised):
    """PMR and DI-MML."""
    copies = np.tile(samples, 10)[:count]
    copies[copies > 1.0] = 1.0
    copies[copies < -1.0] = -1.0
    _, _, power = signal.spectrogram(copies, sample_rate, nperseg=512, noverlap=353)
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
    "pmr": lambda x: scipy_original(x, 16_000, 48_000, False),
    "pmr-10s": lambda x: scipy_original(x, 16_000, 160_000, True),
    "di-mml": lambda x: scipy_original(x, 22_050, 160_000, True),
    "aug": lambda x: librosa_original(x, 22_050, 20, 512, 353),
    "aug-kinetics": lambda x: librosa_original(x, 35_400, 10, 512, 353),
    "mla": lambda x: librosa_original(x, 16_000, 5, 256, 128),
    "fbank": lambda x: kaldi_original(x, 16_000, True),
    "mla-fbank": lambda x: kaldi_original(x, 16_000, False),
}


def rate_of(name):
    return RECIPES[name].sample_rate or 16_000  # filter banks take any


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
    rate = rate_of(name)
    samples = SOUNDS[sound](rate)
    # standardised in single precision, silence is divided by the deviation of its rounding
    exact = RECIPES[name].standardised and sound == "silence"
    expected = ORIGINALS[name](samples.astype(np.float64) if exact else samples.copy())
    found = spectrogram(torch.from_numpy(samples), rate, name)
    assert found.shape == expected.shape == SHAPES[name] == RECIPES[name].shape
    assert found.dtype == torch.float32
    assert np.abs(found.numpy() - expected).max() < 1e-3
    assert sound == "silence" or found.std() > 0.1  # something was compared


def test_every_recipe_is_compared():
    assert set(RECIPES) == set(ORIGINALS) == set(SHAPES)


@pytest.fixture
def recording(tmp_path):
    """Writes a voice; returns its spectrogram by a recipe and the file."""

    def made(name, rate, channels, seconds=2.617, part=None):
        path = tmp_path / "a.wav"
        soundfile.write(path, voice(rate, seconds, channels), rate)
        how = RECIPES[name].sample_rate
        x, rate = (read_sound(path, how), how) if how else read_first_channel(path)
        x = x if part is None else x[part[0] * rate : part[1] * rate]
        return spectrogram(x, rate, name).numpy(), path

    return made


@pytest.mark.parametrize("rate", [16_000, 44_056, 44_100, 48_000])
@pytest.mark.parametrize("name", CUT)
def test_equal_to_the_original_from_the_file_on(name, rate, recording):
    """What the released loader makes of the recording, two channels and another rate included."""
    found, path = recording(name, rate, channels=2)
    samples, _ = librosa.load(path, sr=RECIPES[name].sample_rate)
    assert np.abs(found - ORIGINALS[name](samples)).mean() < 1e-4


def numbers_of(x):
    """Means of a spectrogram's 4 x 6 parts."""
    rows = (np.array_split(part, 6, axis=1) for part in np.array_split(x, 4))
    return [part.mean() for row in rows for part in row]


RELEASED = json.loads((Path(__file__).parent / "released_spectrograms.json").read_text("utf-8"))


@pytest.mark.parametrize("source", ["16000 Hz x 1", "44100 Hz x 2", "48000 Hz x 1"])
@pytest.mark.parametrize("name", RECIPES)
def test_numbers_of_the_released_functions(name, source, recording):
    """Computed with the functions that the docstring of `spectrogram` names."""
    rate, channels = map(int, source.split(" Hz x "))
    found = numbers_of(recording(name, rate, channels)[0])
    assert found == pytest.approx(RELEASED[f"{name}, {source}"], abs=0.002)


def test_numbers_of_the_released_functions_on_an_event(recording):
    found = numbers_of(recording("pmr-10s", 44_100, 2, seconds=10.03, part=(3, 7))[0])
    wanted = RELEASED["pmr-10s of 3 to 7 s, 44100 Hz x 2"]
    assert found == pytest.approx(wanted, abs=0.002)


@pytest.mark.parametrize(
    ("key", "recipe"),
    [
        (("cremad", "ogm-ge"), "ogm"),
        (("cremad", "boosting"), "aug"),
        (("cremad", "detached"), "di-mml"),
        (("ave", "detached"), "pmr-10s"),
        (("ave", "joint"), "pmr-10s"),
        (("kinetics-sounds", "boosting"), "aug-kinetics"),
        (("kinetics-sounds", "valuation"), "fbank"),
    ],
)
def test_presets_take_the_sound_of_their_released_loader(key, recipe):
    assert PRESETS[key].data["audio"] == recipe


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
    assert torch.equal(whole, spectrogram(sound.repeat(int(10 * seconds) + 7), rate, name))


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
    for name in RECIPES:
        spectrogram(sound, rate_of(name), name)
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
        ((torch.zeros(550), 22_050, "fbank"), "has 550 samples; .* 25 ms, at 22050 Hz 551"),
        ((torch.zeros(99), 22_050, "ogm", -1.0), "start is -1.0"),
        ((torch.zeros(99), 22_050, "ogm", float("nan")), "start is nan"),
        ((torch.zeros(999), 16_000, "fbank", 1.0), "for a filter bank only 0"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises(ValueError, match=words):
        spectrogram(*arguments)
    for rate, samples in ((16_000, 400), (22_050, 551)):
        assert spectrogram(torch.zeros(samples), rate, "fbank").isfinite().all()

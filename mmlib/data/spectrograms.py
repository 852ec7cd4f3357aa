"""From sound to spectrogram: the course's own log-mel, and the recipes of the literature."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torchaudio.compliance import kaldi
from torchaudio.functional import spectrogram as stft
from torchaudio.transforms import MelSpectrogram

from mmlib.arguments import one_of

FLOOR = 1e-6  # power below which silence is not told apart


def log_mel(
    waveform: Tensor, sample_rate: int, n_fft: int = 256, hop: int = 128, bands: int = 40
) -> Tensor:
    """Natural logarithm of the power in `bands` mel bands.

    `waveform` is `(..., samples)`, the result `(..., bands, 1 + samples // hop)`; `n_fft` and `hop`
    are in samples.
    """
    return torch.log(_mel(sample_rate, n_fft, hop, bands)(waveform) + FLOOR)


@lru_cache(maxsize=8)
def _mel(sample_rate: int, n_fft: int, hop: int, bands: int) -> MelSpectrogram:
    return MelSpectrogram(sample_rate, n_fft=n_fft, hop_length=hop, n_mels=bands)


class Recipe(NamedTuple):
    """How a spectrogram of the literature is made.

    `sample_rate` in Hz, `None` for the recording's own; `seconds` of sound that go in; `shape` of
    what comes out, frequencies first (filter banks: frames first, as they are stored); `kind` is
    `"magnitude"` (librosa's STFT), `"power"` (scipy's spectrogram) or `"fbank"` (Kaldi's); `n_fft`
    and `hop` in samples (filter banks: at 16 kHz; they are 25 and 10 ms at any rate). `statistics`
    (mean, divisor) normalise, where the recipe has them; with `standardised` it is each
    spectrogram's own mean and deviation.
    """

    sample_rate: int | None
    seconds: float
    shape: tuple[int, int]
    kind: str
    n_fft: int
    hop: int
    standardised: bool = False
    statistics: tuple[float, float] = (0.0, 1.0)


RECIPES = {
    "ogm": Recipe(22_050, 3, (257, 188), "magnitude", 512, 353),
    "pmr": Recipe(16_000, 3, (257, 299), "power", 512, 159),
    "pmr-10s": Recipe(16_000, 10, (257, 1004), "power", 512, 159, standardised=True),
    "di-mml": Recipe(22_050, 160_000 / 22_050, (257, 1004), "power", 512, 159, standardised=True),
    "aug": Recipe(22_050, 20, (257, 1250), "magnitude", 512, 353),
    "aug-kinetics": Recipe(35_400, 10, (257, 1003), "magnitude", 512, 353),
    "mla": Recipe(16_000, 5, (129, 626), "magnitude", 256, 128),
    "fbank": Recipe(
        None, 10.255, (1024, 128), "fbank", 400, 160, statistics=(-4.503877, 2 * 5.141276)
    ),
    "mla-fbank": Recipe(None, 10.255, (1024, 128), "fbank", 400, 160),
}


def spectrogram(waveform: Tensor, sample_rate: int, recipe: str, start: float = 0.0) -> Tensor:
    """`waveform`, `(samples,)` in [-1, 1] at the recipe's sample rate, as `RECIPES[recipe].shape`.

    - `"ogm"` (OGM-GE on CREMA-D, commit 0f64793) and `"aug"`, `"aug-kinetics"` (AUG, commit
      966dbf5): `log(|STFT| + 1e-7)`, the STFT as librosa makes it from 0.9 on.
    - `"pmr"`, `"pmr-10s"`, `"di-mml"`: `log(P + 1e-7)`, P the power density of
      `scipy.signal.spectrogram`; the latter two are standardised. `"pmr"` is `Audio-299` of CREMA-D
      (DI-MML, commit 83b9b7a, `video_preprocessing.py`; PMR reads it), `"pmr-10s"` is `Audio-1004`
      of PMR (commit 1e5c79b) and of the events of AVE (both). `"di-mml"` is `Audio-1004` of CREMA-D
      in DI-MML (`audio_preprocessing.py`): of 22,050 samples a second it keeps 160,000, 7.26 s.
    - `"mla"` (OGM-GE on VGGSound; MLA, commit 4735bbc): as `"ogm"`, of 5 s from a random `start`.
    - `"fbank"` (OGM-GE on Kinetics-Sounds, commit 2ac802c; SMV) and `"mla-fbank"` (MLA): 128
      logarithmic mel bands of Kaldi; frames first; the former is normalised. They keep the
      recording's own rate, which moves the bands, so any `sample_rate` is taken; of several
      channels the scripts take the first.

    All but the filter banks start from `librosa.load`, which is `media.read_sound`.
    A clip that is too short is repeated (filter banks: filled up with zeros after the logarithm),
    a longer one is cut. `start`, in seconds, says where the cut begins; MLA draws it from [0, 5].

    Where this differs from the released scripts: a clip under 1 s (`"ogm"`, `"pmr"`, `"pmr-10s"`,
    `"aug"`) or 0.73 s (`"di-mml"`) is repeated as often as is needed; the scripts repeat it 3, 10
    or 20 times, which leaves it short or stops them; and all is computed in double precision.

    Raises `ValueError` for an unknown recipe, a waveform of another shape, sample rate or with
    values that are not finite, one that is empty or (filter banks) shorter than 25 ms, and for a
    start that is negative or, with a filter bank, not 0.
    """
    how = RECIPES[one_of("recipe", recipe, tuple(RECIPES))]
    _check(waveform, sample_rate, how, start)
    # in double precision: in single, rounding shows where a sound is 100 dB below its peak
    if how.kind == "fbank":
        return _filter_bank(waveform.float(), sample_rate, how)
    sound = _cut(waveform, round(start * sample_rate), round(how.seconds * sample_rate))
    values = torch.log(_STFT[how.kind](sound.clamp(-1, 1).double(), how) + 1e-7)
    if how.standardised:
        values = (values - values.mean()) / (values.std(correction=0) + 1e-9)
    return values.float()


def _cut(waveform: Tensor, start: int, samples: int) -> Tensor:
    """`samples` from `start` on, of a clip that is repeated as often as is needed."""
    copies = -(-(start + samples) // len(waveform))
    return waveform.repeat(copies)[start : start + samples]


def _magnitude(sound: Tensor, how: Recipe) -> Tensor:
    """As `abs(librosa.stft(sound, n_fft=n_fft, hop_length=hop))`: centred, zeros on both sides."""
    size = {"n_fft": how.n_fft, "hop_length": how.hop, "win_length": how.n_fft}
    size |= {"pad": 0, "pad_mode": "constant"}
    x = stft(sound, window=_hann(how.n_fft), power=None, normalized=False, **size)
    return (x.real.square() + x.imag.square()).sqrt()  # abs() takes four times as long


def _power(sound: Tensor, how: Recipe) -> Tensor:
    """As `scipy.signal.spectrogram(sound, sample_rate, nperseg=n_fft, noverlap=n_fft - hop)`.

    Its window is Tukey's, every segment loses its own mean, and the result is a density: per Hz.
    """
    window = _tukey(how.n_fft)
    segments = sound.unfold(0, how.n_fft, how.hop)  # (samples,) -> (T, n_fft)
    segments = (segments - segments.mean(dim=1, keepdim=True)) * window
    power = torch.fft.rfft(segments).abs().square() / (how.sample_rate * window.square().sum())
    power[:, 1:-1] *= 2  # the negative frequencies' share
    return power.T  # (T, F) -> (F, T)


_STFT = {"magnitude": _magnitude, "power": _power}


@lru_cache(maxsize=2)
def _hann(n_fft: int) -> Tensor:
    return torch.hann_window(n_fft, dtype=torch.float64)


@lru_cache(maxsize=2)
def _tukey(n_fft: int, share: float = 0.25) -> Tensor:
    """Periodic Tukey window: a cosine rises and falls over `share` of it, the rest is 1."""
    place = torch.arange(n_fft, dtype=torch.float64) / n_fft  # in periods
    ramp = torch.minimum(place, 1 - place) / (share / 2)
    return 0.5 - 0.5 * torch.cos(torch.pi * ramp.clamp(max=1))


def _filter_bank(waveform: Tensor, sample_rate: int, how: Recipe) -> Tensor:
    """Kaldi's log-mel filter bank, `(frames, bands)`, filled up with zeros or cut at the end."""
    frames, bands = how.shape
    bank = kaldi.fbank(
        (waveform - waveform.mean()).unsqueeze(0),
        sample_frequency=sample_rate,
        window_type="hanning",
        num_mel_bins=bands,
        htk_compat=True,
        use_energy=False,
        dither=0.0,
    )[:frames]
    mean, divisor = how.statistics
    filled = torch.nn.functional.pad(bank, (0, 0, 0, frames - len(bank)))
    return (filled - mean) / divisor


def _check(waveform: Tensor, sample_rate: int, how: Recipe, start: float) -> None:
    if waveform.ndim != 1 or not len(waveform):
        raise ValueError(
            f"waveform has shape {tuple(waveform.shape)}; give (samples,), one or more"
        )
    if not waveform.abs().max().isfinite():  # a fifth of the time of waveform.isfinite().all()
        raise ValueError("waveform holds values that are not finite; read the recording again")
    bank = how.kind == "fbank"
    window = int(0.025 * sample_rate)
    if bank and len(waveform) < window:
        raise ValueError(
            f"waveform has {len(waveform)} samples; a filter bank needs 25 ms, at {sample_rate} Hz "
            f"{window} samples"
        )
    if not bank and sample_rate != how.sample_rate:
        raise ValueError(f"sample_rate is {sample_rate}; resample to {how.sample_rate} Hz")
    if not start >= 0 or start and bank:
        raise ValueError(f"start is {start}; give seconds of 0 or more, for a filter bank only 0")

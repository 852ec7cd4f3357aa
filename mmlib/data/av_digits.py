"""AV-Digits: a spoken digit and a cluttered picture of the same digit, made on the spot, offline.

The pictures come from the 1,797 scans of `sklearn.datasets.load_digits`, the sounds from
`assets/spoken_digits.npz` (1,010 words spoken by 101 synthetic voices) or from a folder of human
voices (3,000 recordings of six speakers).
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmlib.arguments import one_of, whole_number
from mmlib.data.reading.digits import (
    SAMPLE_RATE,
    SAMPLES,
    WORD_LEVEL,
    SpokenDigits,
    clips_of,
    enlarged_scans,
    scans_of,
    spoken_digits,
)
from mmlib.data.reading.voices import DEALS, human_clips_of, human_digits
from mmlib.data.spectrograms import log_mel

CANVAS = 32
RUINED_SNR_DB = -20.0
RUINED_CONTRAST = 0.05  # factor on the contrast of a ruined picture's digit

SIZES = {"train": 3000, "val": 1000, "test": 2000}  # pairs by default


@dataclass(frozen=True)
class Scenario:
    """How hard each modality is; ranges are drawn from uniformly, a sample at a time."""

    snr_db: tuple[float, float] = (0.0, 15.0)
    fragments: int = 4
    fragment_intensity: tuple[float, float] = (0.4, 1.0)
    contrast: tuple[float, float] = (0.5, 1.0)
    picture_noise: float = 0.15
    ruined_audio: float = 0.0
    ruined_visual: float = 0.0


SCENARIOS = {
    "imbalanced": Scenario(),
    "balanced": Scenario(snr_db=(-4.0, 8.0), fragments=1),
    "flipped": Scenario(snr_db=(-10.0, 0.0), fragments=0),
    # SNR and clutter such that the masked accuracies of a joint network are about equal
    "samplewise": Scenario(snr_db=(5.0, 15.0), fragments=1, ruined_audio=0.5, ruined_visual=0.5),
    "corrupted": Scenario(ruined_audio=0.1, ruined_visual=0.3),
}


class AVDigits:
    """Pairs of a spoken digit and a picture of the same digit, whole in memory.

    `inputs["audio"]` is `(N, 1, 40, 51)`: log-mel bands by frames of 16 ms, standardised with the
    scenario's training data (human voices: with that of the seed). `inputs["visual"]` is `(N, 1,
    32, 32)`, brightness near [0, 1]. `target` is `(N,)` in 0..9. `truth` holds `(N,)` tensors:
    `audio_snr_db`; `visual_clutter`, the brightness of all fragments over that of the digit;
    `ruined` (0 none, 1 audio, 2 visual); and where the pair comes from, `voice` and `scan`.

    Item `i` depends on `split`, `scenario`, `seed` and `i` alone: a smaller `size` is a prefix of a
    larger one. Scans and voices of the three splits are disjoint for every pair of seeds.

    With `voices`, the folder of the Free Spoken Digit Dataset, its recordings stand in place of the
    synthetic words, without the silence at their ends, and at most 0.8 s of each. Its six speakers
    are dealt out 3 / 1 / 2 anew for each `seed`, so they are disjoint between splits of one seed
    only. With `deal="recordings"` every speaker is in every split, and no recording in two.

    Raises `ValueError` for an unknown split, scenario or deal and for a size that is not a whole
    number above 0; `FileNotFoundError` or `ValueError` for a missing or damaged
    `spoken_digits.npz`, and for a folder of voices in which a recording is.
    """

    modalities = ("audio", "visual")
    classes = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        split: str,
        scenario: str = "imbalanced",
        size: int | None = None,
        seed: int = 0,
        voices: str | Path | None = None,
        deal: str = "speakers",
    ):
        self.split = one_of("split", split, tuple(SIZES))
        self.scenario = one_of("scenario", scenario, tuple(SCENARIOS))
        size = SIZES[split] if size is None else whole_number("size", size, at_least=1)
        self.seed = whole_number("seed", seed, at_least=0)
        self._world = _world(scenario, self.seed, voices, deal)
        self._draws = [_draw(split, self._world, i) for i in range(size)]
        pictures, clutter = zip(*map(_picture, self._draws), strict=True)
        self.inputs = {
            "audio": _standardised(_spectrograms(self._draws, self._world), self._world),
            "visual": torch.from_numpy(np.stack(pictures)).unsqueeze(1),
        }
        self.target = torch.tensor([draw.digit for draw in self._draws])
        self.truth = {
            "audio_snr_db": torch.tensor([draw.snr_db for draw in self._draws]),
            "visual_clutter": torch.tensor(clutter, dtype=torch.float32),
            "ruined": torch.tensor([draw.ruined for draw in self._draws]),
            "voice": torch.tensor([self._world.spoken.voice[d.clip] for d in self._draws]),
            "scan": torch.tensor([draw.scan for draw in self._draws]),
        }

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor, int]:
        return {m: x[index] for m, x in self.inputs.items()}, self.target[index], index

    def __repr__(self) -> str:
        folder, deal = self._world.voices, self._world.deal
        voices = f", voices={str(folder)!r}, deal={deal!r}" if folder else ""
        said = f"{self.split!r}, {self.scenario!r}, size={len(self)}, seed={self.seed}{voices}"
        return f"AVDigits({said})"

    def waveform(self, index: int) -> Tensor:
        """The sound of one pair as it went into the spectrogram: `(6400,)` at `sample_rate`."""
        return _waveform(self._draws[index], self._world)

    def audio_input(self, waveform: Tensor) -> Tensor:
        """What the audio encoder takes, made from sound: `(..., 6400)` to `(..., 1, 40, 51)`."""
        return _standardised(log_mel(waveform, SAMPLE_RATE), self._world)


@dataclass(frozen=True)
class _World:
    """What a pair depends on, beside its split and number."""

    scenario: str
    seed: int
    voices: Path | None
    deal: str

    @property
    def spoken(self) -> SpokenDigits:
        return spoken_digits() if self.voices is None else human_digits(self.voices)

    def clips(self, split: str) -> list[np.ndarray]:
        """Those of `spoken` that are of a split, by digit."""
        if self.voices is None:
            return clips_of(split)
        return human_clips_of(split, self.deal, self.seed)


def _world(scenario: str, seed: int, voices: str | Path | None, deal: str) -> _World:
    one_of("deal", deal, DEALS)
    if voices is None and deal != DEALS[0]:
        raise ValueError(f"deal is {deal!r}, which is for human voices; give their folder, too")
    return _World(scenario, seed, None if voices is None else Path(voices).resolve(), deal)


@dataclass(frozen=True)
class _Draw:
    """All that is random in one pair, but for the noise itself."""

    key: tuple[int, ...]
    digit: int
    clip: int
    scan: int
    start: float
    snr_db: float
    side: int
    place: tuple[float, float]
    contrast: float
    noise: float
    fragments: tuple[tuple, ...]
    ruined: int


def _draw(split: str, world: _World, index: int) -> _Draw:
    how = SCENARIOS[world.scenario]
    key = (world.seed, tuple(SIZES).index(split), index)
    random = np.random.default_rng((*key, 0))
    digit = int(random.integers(10))
    scans, clips = scans_of(split), world.clips(split)
    luck = random.random()
    ruined = (
        1 if luck < how.ruined_audio else 2 if luck < how.ruined_audio + how.ruined_visual else 0
    )
    snr_db, contrast = random.uniform(*how.snr_db), random.uniform(*how.contrast)
    others = [scans[(digit + int(shift)) % 10] for shift in random.integers(1, 10, how.fragments)]
    return _Draw(
        key=key,
        digit=digit,
        clip=int(random.choice(clips[digit])),
        scan=int(random.choice(scans[digit])),
        start=random.random(),
        snr_db=RUINED_SNR_DB if ruined == 1 else snr_db,
        side=int(random.integers(14, 21)),
        place=tuple(random.random(2)),
        contrast=contrast * RUINED_CONTRAST if ruined == 2 else contrast,
        noise=how.picture_noise,
        fragments=tuple(
            (int(random.choice(other)), int(random.integers(5, 9)))
            + (random.uniform(*how.fragment_intensity), tuple(random.random(4)))
            for other in others
        ),
        ruined=ruined,
    )


def _waveform(draw: _Draw, world: _World) -> Tensor:
    """A word at a random place in 0.8 s of white noise; SNR over the word's own length."""
    word = world.spoken.clips[draw.clip]
    noise = np.random.default_rng((*draw.key, 1)).standard_normal(SAMPLES, dtype=np.float32)
    sound = noise * (WORD_LEVEL * 10 ** (-draw.snr_db / 20))
    start = int(draw.start * (SAMPLES - len(word) + 1))
    sound[start : start + len(word)] += word
    return torch.from_numpy(sound.astype(np.float32))


def _picture(draw: _Draw) -> tuple[np.ndarray, float]:
    """The digit over its fragments in noise, `(32, 32)`, and the clutter-to-digit ratio."""
    scans = enlarged_scans()
    clutter = np.zeros((CANVAS, CANVAS), np.float32)
    for scan, side, intensity, (row, column, top, left) in draw.fragments:
        source = scans[16][scan]
        y, x = int(row * (17 - side)), 3 + int(column * (11 - side))  # where the strokes are
        _paint(clutter, intensity * source[y : y + side, x : x + side], (top, left))
    digit = np.zeros_like(clutter)
    _paint(digit, draw.contrast * scans[draw.side][draw.scan], draw.place)
    noise = np.random.default_rng((*draw.key, 2)).standard_normal(digit.shape, dtype=np.float32)
    return np.maximum(digit, clutter) + draw.noise * noise, clutter.sum() / digit.sum()


def _paint(canvas: np.ndarray, patch: np.ndarray, place: tuple[float, float]) -> None:
    side = len(patch)
    y, x = (int(p * (CANVAS - side + 1)) for p in place)
    window = canvas[y : y + side, x : x + side]
    np.maximum(window, patch, out=window)


@lru_cache(maxsize=32)
def _audio_statistics(world: _World) -> tuple[float, float]:
    """Mean and deviation of the log-mel over 1,000 training pairs of a world."""
    draws = [_draw("train", world, i) for i in range(1000)]
    spectrograms = _spectrograms(draws, world)
    return spectrograms.mean().item(), spectrograms.std().item()


def _standardised(spectrograms: Tensor, world: _World) -> Tensor:
    # synthetic voices are dealt out once for all seeds, human ones for each: its training speakers
    mean, deviation = _audio_statistics(world if world.voices else replace(world, seed=0))
    return ((spectrograms - mean) / deviation).unsqueeze(-3)


def _spectrograms(draws: list[_Draw], world: _World, at_once: int = 200) -> Tensor:
    """Log-mel of each pair, `(N, 40, 51)`; a few at once, since the sound itself is large."""
    parts = [draws[i : i + at_once] for i in range(0, len(draws), at_once)]
    sounds = (torch.stack([_waveform(draw, world) for draw in part]) for part in parts)
    return torch.cat([log_mel(sound, SAMPLE_RATE) for sound in sounds])

"""Human voices for AV-Digits: the recordings of the Free Spoken Digit Dataset, dealt by seed.

https://github.com/Jakobovski/free-spoken-digit-dataset, Jackson and others, CC BY-SA 4.0.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from mmlib.data.reading.digits import SAMPLE_RATE, SAMPLES, WORD_LEVEL, SpokenDigits, deal_out
from mmlib.data.reading.folders import folder_of, inner_folder
from mmlib.data.reading.media import read_sound

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES = 50  # recordings of a digit by a speaker
SHARES = (3, 1, 2)  # of six, for training, validation, test
DEALS = ("speakers", "recordings")
SILENCE = 0.02  # of the peak: what lies below it at either end is cut off, as of synthetic words
GET = "git clone https://github.com/Jakobovski/free-spoken-digit-dataset"


def recordings_of(root: str | Path) -> tuple[list[Path], list[Path]]:
    """The 3,000 recordings by speaker, digit and take, and those of them that are missing.

    `root` is what `git clone` makes, or its folder `recordings`. Raises `FileNotFoundError` if it
    is no folder, or holds none.
    """
    folder = inner_folder(folder_of(root, f"what `{GET}` makes"), "recordings")
    there = {path.name for path in folder.iterdir()}
    names = [
        f"{digit}_{speaker}_{take}.wav"
        for speaker in SPEAKERS
        for digit in range(10)
        for take in range(TAKES)
    ]
    if there.isdisjoint(names):
        what = f"no recording such as {names[0]}"
        raise FileNotFoundError(f"{folder} holds {what}; expected what `{GET}` makes")
    return [folder / n for n in names], [folder / n for n in names if n not in there]


@lru_cache(maxsize=1)
def human_digits(root: Path) -> SpokenDigits:
    """The recordings as words of equal loudness; `voice` is the speaker's place in `SPEAKERS`.

    They are read once in a process. Files of other names are left out. Raises `FileNotFoundError`
    for a folder that lacks a recording, `ValueError` for one that is broken.
    """
    paths, missing = recordings_of(root)
    if missing:
        names = ", ".join(path.name for path in missing[:3]) + (", ..." if missing[3:] else "")
        raise FileNotFoundError(
            f"{paths[0].parent} lacks {len(missing):,} of {len(paths):,} recordings ({names}); get "
            f"them by `{GET}`"
        )
    shape = (len(SPEAKERS), 10, TAKES)
    voice, digit, _ = (numbers.ravel() for numbers in np.indices(shape))
    return SpokenDigits([read_word(path) for path in paths], digit, voice)


def read_word(path: Path) -> np.ndarray:
    """A recording without the silence at its ends, at `WORD_LEVEL`: `(samples,)` float32.

    Of one that is longer than 0.8 s even so, the 0.8 s that hold most of its energy. Raises
    `FileNotFoundError` for a missing file, and `ValueError` for one that is broken, silent, not of
    one channel or not at `SAMPLE_RATE`: it is none of the published recordings.
    """
    sound = read_sound(path, SAMPLE_RATE).numpy()
    found = soundfile.info(path)
    if (found.channels, found.samplerate) != (1, SAMPLE_RATE):
        kind = "mono" if found.channels == 1 else f"of {found.channels} channels"
        raise ValueError(
            f"{path} is {kind} at {found.samplerate} Hz; expected the published recording, mono at "
            f"{SAMPLE_RATE} Hz, as `{GET}` brings it"
        )
    loud = np.flatnonzero(np.abs(sound) > SILENCE * np.abs(sound).max())
    if not len(loud):
        raise ValueError(f"{path} is silent; get the recording again by `{GET}`")
    word = _loudest(sound[loud[0] : loud[-1] + 1], SAMPLES)
    return word * (WORD_LEVEL / np.sqrt(np.mean(word**2)))


def _loudest(sound: np.ndarray, samples: int) -> np.ndarray:
    """The part of `sound` with most energy that is at most `samples` long."""
    if len(sound) <= samples:
        return sound
    energy = np.cumsum(np.pad(np.square(sound, dtype=np.float64), (1, 0)))
    start = int(np.argmax(energy[samples:] - energy[:-samples]))
    return sound[start : start + samples]


@lru_cache(maxsize=6)
def human_clips_of(split: str, deal: str, seed: int) -> list[np.ndarray]:
    """Recordings of a split, by digit: of its own speakers, or its share of every speaker's.

    Either way a split gets as many of a digit, but for rounding. The deal is new for each `seed`.
    """
    numbers = np.arange(len(SPEAKERS) * 10 * TAKES).reshape(len(SPEAKERS), 10, TAKES)
    if deal == "speakers":
        return list(numbers[deal_out(SHARES, split, (seed, 200))].swapaxes(0, 1).reshape(10, -1))
    train, val = TAKES * SHARES[0] // 6, TAKES * SHARES[1] // 6
    shares = (train, val, TAKES - train - val)
    return [
        np.concatenate(
            [
                numbers[voice, digit, deal_out(shares, split, (seed, 201, voice, digit))]
                for voice in range(len(SPEAKERS))
            ]
        )
        for digit in range(10)
    ]

"""The raw material of AV-Digits, digits written and spoken, and which split gets what of it.

Scans and synthetic voices are dealt out once, whatever the seed, so that a training set of one seed
and a test set of another are still disjoint.
"""

import hashlib
import io
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torchaudio.functional import mu_law_decoding

from mmlib.data.reading.lists import SPLITS
from mmlib.files import asset

SAMPLE_RATE = 8000
SAMPLES = 6400  # of every sound, 0.8 s
WORD_LEVEL = 0.1  # root mean square of every spoken word
VOICES = (20, 27, 54)  # for training, validation, test
SCAN_SHARES = (0.6, 0.15)  # of each digit, for training and validation; the rest is for test
ASSET_SHA256 = "9378850ff1f4eb5d4fc159ece786093db2a7868d9bdf822ddd9f9d4f2a3c6a9c"


class SpokenDigits(NamedTuple):
    """Words of equal loudness at `SAMPLE_RATE`; of each the digit and the number of its voice."""

    clips: list[np.ndarray]
    digit: np.ndarray
    voice: np.ndarray


@lru_cache(maxsize=1)
def spoken_digits() -> SpokenDigits:
    """The words of `assets/spoken_digits.npz`.

    Raises `FileNotFoundError` if it is not there, `ValueError` if its content is not the expected
    one.
    """
    path = asset("spoken_digits.npz")
    stored = path.read_bytes()
    if hashlib.sha256(stored).hexdigest() != ASSET_SHA256:
        raise ValueError(
            f"{path} ({len(stored):,} bytes) is damaged or of another version: its SHA-256 "
            f"is not {ASSET_SHA256[:12]}...; restore it from the repository"
        )
    content = np.load(io.BytesIO(stored))
    decoded = mu_law_decoding(torch.from_numpy(content["codes"]).long(), 256).numpy()
    clips = np.split(decoded.astype(np.float32), np.cumsum(content["length"])[:-1])
    clips = [clip * (WORD_LEVEL / np.sqrt(np.mean(clip**2))) for clip in clips]
    return SpokenDigits(clips, content["digit"].astype(int), content["voice"].astype(int))


@lru_cache(maxsize=1)
def scans() -> tuple[np.ndarray, np.ndarray]:
    """The 8x8 scans, `(1797, 8, 8)` in 0..16, and their digits."""
    from sklearn.datasets import load_digits  # takes long to import; needed here alone

    digits = load_digits()
    return digits.images, digits.target


@lru_cache(maxsize=1)
def enlarged_scans() -> dict[int, np.ndarray]:
    """All 8x8 scans, bilinearly enlarged: side in pixels -> `(1797, side, side)` in [0, 1]."""
    small = torch.from_numpy(scans()[0]).float().unsqueeze(1) / 16
    return {
        side: F.interpolate(small, (side, side), mode="bilinear").squeeze(1).numpy()
        for side in range(14, 21)
    }


def deal_out(shares: Sequence[int], split: str, salt: int | Sequence[int]) -> np.ndarray:
    """Positions of a split when as many things as the shares sum to are shuffled and dealt out."""
    order = np.random.default_rng(salt).permutation(sum(shares))
    return np.split(order, np.cumsum(shares)[:-1])[SPLITS.index(split)]


@lru_cache(maxsize=3)
def scans_of(split: str) -> list[np.ndarray]:
    """Scans of a split, by digit."""
    target, chosen = scans()[1], []
    for digit in range(10):
        mine = np.flatnonzero(target == digit)
        train, val = (int(share * len(mine)) for share in SCAN_SHARES)
        shares = (train, val, len(mine) - train - val)
        chosen.append(mine[deal_out(shares, split, salt=digit)])
    return chosen


@lru_cache(maxsize=3)
def clips_of(split: str) -> list[np.ndarray]:
    """Clips of a split's voices, by digit."""
    spoken = spoken_digits()
    voices = deal_out(VOICES, split, salt=100)
    mine = np.isin(spoken.voice, voices)
    return [np.flatnonzero(mine & (spoken.digit == digit)) for digit in range(10)]

"""From sound to spectrogram."""

from functools import lru_cache

import torch
from torch import Tensor
from torchaudio.transforms import MelSpectrogram

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

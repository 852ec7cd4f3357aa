"""Data sets and how to iterate over them."""

from mmlib.data.av_digits import AVDigits
from mmlib.data.spectrograms import log_mel
from mmlib.training import batches

__all__ = ["AVDigits", "batches", "log_mel"]

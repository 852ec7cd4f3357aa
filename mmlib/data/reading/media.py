"""Sound, pictures and stored arrays from files, checked and brought to one form."""

import io
import math
import pickle
import re
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
import soundfile
import soxr
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from mmlib.data.reading.damage import MOST_PIXELS, STREAMED, refusal_of
from mmlib.data.reading.folders import file_of
from mmlib.data.reading.near import is_utf8

RATES = (4_000, 192_000)  # sample rates in Hz that a recording may have
RESAMPLER = "soxr_hq"
MOST_VALUES = 250_000_000  # samples times channels of a recording, 1 GB as they are read
MOST_RATIO = 250  # of a picture's longer side to the other
ORIENTATION = 0x0112  # the tag of EXIF that says how a picture is to be turned


def read_sound(path: str | Path, sample_rate: int) -> Tensor:
    """A recording as `(samples,)` float32 at `sample_rate` (Hz), as `librosa.load` gives it.

    Channels are averaged, then another rate is converted by soxr. Raises `FileNotFoundError`, or
    `ValueError` that names the file for one that is empty, cut short, no sound or not finite, or
    that declares more than 250 million values: 94 minutes of one channel at 44,100 Hz.
    """
    samples, rate = _recorded(path)
    return resampled(torch.from_numpy(samples.mean(axis=1)), rate, sample_rate)


def read_first_channel(path: str | Path) -> tuple[Tensor, int]:
    """The first channel of a recording, `(samples,)` float32, and its own rate in Hz.

    That is what Kaldi's filter bank takes of a file. Raises as `read_sound` does.
    """
    samples, rate = _recorded(path)
    return torch.from_numpy(samples[:, 0].copy()), rate


def _recorded(path: str | Path) -> tuple[np.ndarray, int]:
    """A recording as `(samples, channels)` float32, and its rate in Hz."""
    path, samples = file_of(path, "extract the sound there"), None
    try:
        with soundfile.SoundFile(path) as file:
            missing, rate = _missing_bytes(file.extra_info), file.samplerate
            declared, channels = file.frames, file.channels
            if declared * channels <= MOST_VALUES:
                samples = file.read(dtype="float32", always_2d=True)
    except (RuntimeError, MemoryError, TypeError, ValueError) as error:
        raise _unreadable(path, "a sound", "extract it again", error) from error
    if samples is None:
        most = f"expected {MOST_VALUES:,} values at most, cut it into parts"
        raise ValueError(f"{path} has {declared:,} samples of {channels} channels; {most}")
    if missing:
        raise ValueError(f"{path} is cut short by {missing:,} bytes; extract it again")
    _check_samples(path, samples, declared, rate)
    return samples, rate


def _check_samples(path: Path, samples: np.ndarray, declared: int, rate: int) -> None:
    if len(samples) < 0.9 * declared:  # an MP3 may declare a little more than it holds
        seconds = f"{len(samples) / rate:.2f} of {declared / rate:.2f} s"
        raise ValueError(f"{path} is cut short: it ends after {seconds}; extract it again")
    if not len(samples):
        raise ValueError(f"{path} holds no sound, 0 samples; extract it again")
    if not RATES[0] <= rate <= RATES[1]:
        raise ValueError(f"{path} has {rate} samples a second; expected {RATES[0]} to {RATES[1]}")
    if not np.isfinite(samples).all():
        raise ValueError(f"{path} holds values that are not finite; extract it again")


def resampled(waveform: Tensor, rate: int, sample_rate: int) -> Tensor:
    """`waveform`, `(samples,)` float32, brought from `rate` to `sample_rate`, both in Hz.

    As `librosa.resample` does it, to the last bit: soxr's high quality, the length rounded up.
    """
    if rate == sample_rate:
        return waveform
    found = torch.from_numpy(soxr.resample(waveform.numpy(), rate, sample_rate, quality=RESAMPLER))
    # the ratio first: librosa's rounding decides whether there is one sample more
    return F.pad(found, (0, math.ceil(len(waveform) * (sample_rate / rate)) - len(found)))


def _unreadable(path: Path, what: str, remedy: str, error: Exception) -> ValueError:
    """What a file is that its reader refused: a known kind of damage, or what the reader said."""
    if not is_utf8(str(path)):  # which libraries in C cannot open
        return ValueError(f"{str(path)!a} has a name that is not UTF-8; rename it")
    said = f"{path} is no {what.partition(' ')[2]} that can be read ({error}); {remedy}"
    return ValueError(refusal_of(path, what) or said)


def _missing_bytes(log: str) -> int:
    """By how much a file is shorter than its header says, out of libsndfile's log."""
    declared = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if declared is None:
        return 0
    wanted, found = map(int, declared.groups())
    return 0 if wanted >= STREAMED else max(wanted - found, 0)


def read_image(path: str | Path, size: int | tuple[int, int] | None = None) -> Tensor:
    """A picture as `(3, H, W)` uint8, resized to `size` (one side, or height and width) if given.

    Grey, palette, CMYK and 16-bit pictures become RGB; resizing is bilinear with antialiasing, a
    level (of 255) from PIL's at most, and does not keep the proportions. A picture whose EXIF says
    how it was held is turned upright. In memory the channels come last. Raises `FileNotFoundError`,
    or `ValueError` that names the file for one that is broken, has more than 50 million pixels, or
    one side of more than 250 times the other.
    """
    pixels = _decoded(file_of(path, "extract the picture there")).permute(2, 0, 1)  # (3, H, W)
    size = (size, size) if isinstance(size, int) else size
    if size is None or pixels.shape[1:] == size:
        return pixels
    # to a level as PIL does it, in a fifth of the time
    return F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]


def _decoded(path: Path) -> Tensor:
    """A picture as `(H, W, 3)` uint8."""
    try:
        with Image.open(path) as image:
            small, large = sorted(image.size)
            if small * large <= MOST_PIXELS and large <= MOST_RATIO * small:
                image.load()
                return torch.from_numpy(np.array(_as_rgb(_upright(image))))
    except Exception as error:  # PIL does not say what a broken file raises; its readers differ
        raise _unreadable(path, "a picture", "extract it again", error) from error
    most = f"expected {MOST_PIXELS:,} at most, and a side of {MOST_RATIO} times the other"
    raise ValueError(f"{path} has {image.width} x {image.height} pixels; {most}")


def _upright(image: Image.Image) -> Image.Image:
    """As viewers show it, if its EXIF says how; what is damaged there says nothing."""
    try:
        turned = image.getexif().get(ORIENTATION, 1) != 1
        return ImageOps.exif_transpose(image) if turned else image
    except Exception:  # PIL does not say what damaged EXIF raises
        return image


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, which PIL would cut off at 255 and not scale
        grey = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")


def read_array(path: str | Path, shape: tuple[int, ...] | None = None) -> Tensor:
    """A stored spectrogram, `.npy`, `.pkl` or `.pt`, as float32, `shape` checked if given.

    The shape is checked before anything is converted, and of `.npy` before the numbers are read.
    Pickled files may hold numpy arrays and nothing else: what else a pickle could run is refused.
    Raises `FileNotFoundError`, or `ValueError` that names the file for one that is broken, not
    numbers, not finite, of another shape or of more than 250 million values.
    """
    path = file_of(path, "put the stored spectrogram there")
    try:
        array = _READERS[path.suffix](path)
        found = tuple(array.shape)
        # one number, repeated, takes a few bytes on the disk
        if shape is None and math.prod(found) > MOST_VALUES:
            raise ValueError(f"it has the shape {found}")
        if shape in (None, found):
            # the pages of a file that is mapped read-only make no tensor
            array = torch.as_tensor(np.array(array) if isinstance(array, np.memmap) else array)
            array = array.float()
    except Exception as error:  # a broken pickle may raise anything
        raise _unreadable(path, "an array", "make it again", error) from error
    if shape not in (None, found):
        raise ValueError(f"{path} has shape {found}; expected {shape}")
    if not torch.isfinite(array).all():
        raise ValueError(f"{path} holds values that are not finite; make it again")
    return array


class _ArraysOnly(pickle.Unpickler):
    """Takes numpy arrays, in the spellings of numpy 1 and 2, and refuses everything else."""

    allowed = ("_reconstruct", "_frombuffer", "ndarray", "dtype", "scalar", "encode")

    def find_class(self, module: str, name: str):
        trusted = module in ("_codecs", "numpy") or re.fullmatch(
            r"numpy\._?core\.(multiarray|numeric)", module
        )
        if not trusted or name not in self.allowed:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}")
        return super().find_class(module, name)


def _load(path: Path) -> Tensor:
    """A tensor of PyTorch's, whose file may be packed a thousandfold."""
    with suppress(BadZipFile), ZipFile(path) as packed:
        size = sum(part.file_size for part in packed.infolist())
        if size > 8 * MOST_VALUES:
            raise ValueError(f"it unpacks to {size:,} bytes")
    return torch.load(path, map_location="cpu", weights_only=True)


_READERS = {
    ".npy": lambda path: np.load(path, mmap_mode="r", allow_pickle=False),
    ".pkl": lambda path: _ArraysOnly(io.BytesIO(path.read_bytes())).load(),
    ".pt": _load,
}

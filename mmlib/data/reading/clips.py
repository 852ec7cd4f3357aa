"""What the data sets of clips share: a spectrogram and some frames of every clip of a list."""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmlib.arguments import one_of, whole_number
from mmlib.data.reading.base import FromFiles, check_draws
from mmlib.data.reading.boxes import own_luck
from mmlib.data.reading.buffers import Buffers
from mmlib.data.reading.folders import folder_of, frame_names
from mmlib.data.reading.frames import after_gap, choose_frames, smv_frames
from mmlib.data.reading.lists import Entry
from mmlib.data.reading.media import (
    RESAMPLER,
    read_array,
    read_first_channel,
    read_image,
    read_sound,
)
from mmlib.data.reading.near import near_names
from mmlib.data.reading.transforms import finish_pictures, released_view
from mmlib.data.spectrograms import RECIPES, spectrogram

STORED = (".npy", ".pkl", ".pt")  # spectrograms that come ready, beside .wav


class Clips(FromFiles):
    """What the three data sets share: a spectrogram and some frames of every clip of a list.

    `take` reads through a cache: `"audio"` `(B, 1, F, T)` float16, by the recipe `audio` of
    `mmlib.data.spectrograms.RECIPES`, and `"visual"` `(B, 3, frames, S, S)` uint8, S = 8/7 `size`.
    Whether a source has changed is looked at once in a run, and a frame is opened when it is first
    drawn: `check-data --thorough` opens all. What is there by another spelling of its name, or in
    folders between, is found (`near_names`). `finish` gives float32: the sound as it is, the frames
    cropped, flipped and normalised. Use one of the subclasses; they say which files are read.

    `crops` says how a frame becomes `size` x `size`:

    - `"shared"`: it is squeezed to S x S once, for the cache. In training one box and one flip
      serve all frames of a clip; a box that does not fit is cut to the picture. The box is 3:4 to
      4:3 in the square, so 1:1 to 16:9 on a picture of 4:3, and covers 53 % of it on average.
      Evaluation resizes the square to `size`: it has been resized twice.
    - `"released"`: what the loaders of OGM-GE (commit 343dc1d), AUG (966dbf5), DI-MML (83b9b7a) and
      SMV (7ed12b0) do. In training each frame has a box and a flip of its own, cut out of the
      picture as it is, 3:4 to 4:3 there; one that does not fit is drawn again, so it covers 43 % of
      a picture of 4:3 on average. Evaluation resizes the picture to `size` at once. `take` does all
      this, with S = `size`, and `finish` only normalises. The cache keeps the frames in their own
      size, 3 bytes a pixel: 0.5 MB where the squeezed frame takes 0.2 MB, for 480 x 360.

    `frames_from` says which frames are taken, their files in the order of their numbers:

    - `"segments"`: a clip is cut into `frames` parts of equal length, and one frame of each is
      drawn in training; in evaluation it is the one at `REST` of the part. A clip with fewer
      frames than asked repeats some.
    - `"smv"`: as SMV's loader; see `smv_frames`.
    - `"first"`: the first ones. It reproduces a bug of the loaders of OGM-GE (its repository, issue
      32) and AUG, which draw numbers and then take the first frames of the folder all the same.

    DI-MML's loaders re-seed for every clip, so that training and evaluation show the same frames
    of all clips of one length; no option repeats that.

    `missing="drop"` leaves out the samples that lack a file; see `FromFiles`.

    Raises `FileNotFoundError` for a root, list, folder or file that is missing; `ValueError`, with
    file and line, for a list or a file that is wrong, and for an option that is not known.
    """

    modalities = ("audio", "visual")
    REST = 0.5
    _buffers = Buffers()  # one for all: one split is read at a time

    def __init__(
        self,
        entries: Sequence[Entry],
        classes: Sequence[str],
        sounds: Path,
        pictures: Path,
        audio: str,
        frames: int,
        frames_from: str,
        crops: str,
        size: int,
        cache: str | Path | bool | None,
    ):
        """Of a data set that is open: root and split are known."""
        self.classes = tuple(classes)
        self.audio = one_of("audio", audio, list(RECIPES))
        self._how = RECIPES[audio]
        self.frames = whole_number("frames", frames, at_least=1)
        self.frames_from = one_of("frames_from", frames_from, ("segments", "smv", "first"))
        self.crops = one_of("crops", crops, ("shared", "released"))
        self.size = whole_number("size", size, at_least=1)
        # of the pictures in the cache: room for a crop, 256 for 224; or they are whole
        self._side = None if crops == "released" else size * 8 // 7
        self._sounds = folder_of(sounds, "the clips' sounds, a file each")
        self._pictures = folder_of(pictures, "the clips' frames, a folder each")
        self._ending = _ending(self._sounds, entries)
        # of those that are not there by their own name
        self._sound_names = near_names(self._sounds, (e.id + self._ending for e in entries))
        self._folder_names = near_names(self._pictures, (entry.id for entry in entries))
        there = {*os.listdir(self._pictures)}
        self._folder_names |= {e.id: name for e in entries if (name := event_name(e)) in there}
        self._keep(entries, cache, self._recipe())
        self._frames_of: dict[int, list[str]] = {}

    def take(self, index: Tensor, draws: Tensor | None = None) -> dict[str, Tensor]:
        """The raw batch of samples `index`, `(B,)`, on the CPU; see the class for its shapes.

        `draws` is `(B, DRAWS)` in [0, 1), of which columns 5-7 choose the frames; `None`: those of
        evaluation. With `crops="released"` columns 0-4 crop and flip them here.
        """
        check_draws(index, draws)
        side = self._side or self.size
        empty, count = self._buffers.empty, len(index)
        audio = empty(count, 1, *self._how.shape, dtype=torch.float16)
        visual = empty(count, self.frames, side, side, 3, dtype=torch.uint8)
        rows = [None] * len(index) if draws is None else draws.tolist()
        for row, (i, own) in enumerate(zip(index.tolist(), rows, strict=True)):
            names, entry = self._names(i), self._entries[i]
            audio[row, 0] = self._sound_of(entry)
            luck = None if own is None or self._side else own_luck(own)
            chosen = self._chosen(len(names), None if own is None else own[5:])
            for place, frame in enumerate(chosen):
                visual[row, place] = self._view(self._picture(entry.id, names[frame]), luck)
        return {"audio": audio, "visual": visual.movedim(-1, 1)}

    def finish(self, inputs: dict[str, Tensor], draws: Tensor | None = None) -> dict[str, Tensor]:
        """What the model gets: `(B, 1, F, T)` and `(B, 3, frames, size, size)`, float32.

        With `draws`, all frames of a sample get the same random crop and flip; without, the whole
        picture. With `crops="released"` they got theirs in `take`. Works where the inputs are.
        """
        own = draws if self._side else None
        visual = finish_pictures(inputs["visual"], own, self.size, buffers=self._buffers)
        audio = inputs["audio"]
        if audio.device.type == "cpu":
            audio = self._buffers.empty(*audio.shape).copy_(audio)
        return {"audio": audio.float(), "visual": visual}

    def whole(self, index: int) -> dict[str, Tensor]:
        """All frames of a clip as `take` gives them in evaluation, and its sound.

        `"visual"` is `(frames there, 3, S, S)`, `"audio"` `(1, F, T)`.
        """
        entry, names = self._entries[index], self._names(index)
        pictures = torch.stack([self._view(self._picture(entry.id, name)) for name in names])
        return {"audio": self._sound_of(entry).unsqueeze(0), "visual": pictures.movedim(-1, 1)}

    def files(self, index: int) -> dict[str, Path]:
        """Where a clip's sound (a file) and frames (a folder) belong, there or not."""
        sound, frames = self._needs(self._entries[index])
        return {"audio": sound, "visual": frames}

    def _needs(self, entry: Entry) -> list[Path]:
        return [Path(self._sound(entry)), Path(self._folder(entry.id))]

    def sources(self, index: int) -> list[Path]:
        """The files that a clip is made of: its sound, its frames' folder, and each frame."""
        entry = self._entries[index]
        folder = Path(self._folder(entry.id))
        return [Path(self._sound(entry)), folder, *(folder / name for name in self._listed(entry))]

    @cached_property
    def sample_rate(self) -> int:
        """Sample rate of `waveform`, in Hz: the recipe's, or `sample_rate_of` the first clip."""
        return self._how.sample_rate or self.sample_rate_of(0)

    def sample_rate_of(self, index: int) -> int:
        """Sample rate of a clip's `waveform`, in Hz: filter banks keep the recording's own."""
        return self._waveform(self._entries[index])[1]

    def waveform(self, index: int) -> Tensor:
        """The sound of a clip, `(samples,)`, as it goes into the spectrogram.

        All channels' mean, for a filter bank the first channel, as the released scripts have it.
        """
        return self._waveform(self._entries[index])[0]

    def is_silent(self, index: int) -> bool:
        """Whether all of a clip's sound is 0; `False` for a stored spectrogram, which hides it."""
        return self._ending not in STORED and not self.waveform(index).any()

    def audio_input(self, waveform: Tensor, sample_rate: int | None = None) -> Tensor:
        """What the audio encoder takes, made from sound: `(samples,)` to `(1, F, T)`.

        The cut begins at 0, also for `"mla"`, where MLA draws its place. `sample_rate` in Hz, that
        of the data set by default; where recordings differ in it, give a filter bank
        `sample_rate_of` the clip.
        """
        return spectrogram(waveform, sample_rate or self.sample_rate, self.audio).unsqueeze(0)

    def _view(self, picture: Tensor, luck: np.random.Generator | None = None) -> Tensor:
        return picture if self._side else released_view(picture, luck, self.size)

    def _recipe(self) -> dict:
        """All that a cache entry depends on besides its files."""
        return {
            "data": type(self).__name__,
            "audio": [self.audio, *self._how, RESAMPLER],
            "sounds": self._sounds.name + self._ending,
            "pictures": [self._pictures.name, self._side or "whole"],
        }

    def _cached(self, name: str, source: str, make: Callable[[], Tensor]) -> Tensor:
        """What `make` makes of a source: one tensor an entry, so that no more is read than used."""
        return self._cache.get(name, [source], lambda: {"x": make()})["x"]

    def _sound_of(self, entry: Entry) -> Tensor:
        """The spectrogram, `(F, T)` float16."""
        name = f"{entry.id} {entry.start:g}-{entry.end:g}" if entry.end else entry.id
        return self._cached(name, self._sound(entry), lambda: self._spectrogram(entry).half())

    def _picture(self, clip: str, name: str) -> Tensor:
        """A frame, squeezed or whole, bytes: with channels last resizing is three times as fast."""
        path = f"{self._folder(clip)}{os.sep}{name}"
        side = self._side
        return self._cached(f"{clip}/{name}", path, lambda: read_image(path, side).movedim(0, -1))

    def _names(self, index: int) -> list[str]:
        """The frames of a clip; with a cache its folder is listed once in a run."""
        if index in self._frames_of:
            return self._frames_of[index]
        names = self._listed(self._entries[index])
        if self._cache.folder is not None:
            self._frames_of[index] = names
        return names

    def _listed(self, entry: Entry) -> list[str]:
        """A clip's frames in order: the event's alone where its times are given."""
        names = frame_names(self._folder(entry.id))
        if entry.end and not self._pictures.name.endswith("-SE"):
            later = after_gap(names, whole=10)  # frames of ten seconds, at 1 a second
            if later:
                raise ValueError(
                    f"{self._folder(entry.id)} lacks frames before {later}, so that none tells its "
                    "second; extract the clip's frames again"
                )
            first = min(int(entry.start), len(names) - 1)
            names = names[first : max(int(entry.end), first + 1)]
        return names

    # strings, for they are made for every clip of every batch
    def _sound(self, entry: Entry) -> str:
        name = entry.id + self._ending
        return f"{self._sounds}{os.sep}{self._sound_names.get(name, name)}"

    def _folder(self, clip: str) -> str:
        return f"{self._pictures}{os.sep}{self._folder_names.get(clip, clip)}"

    def _spectrogram(self, entry: Entry) -> Tensor:
        if self._ending in STORED:
            return read_array(self._sound(entry), tuple(self._how.shape))
        waveform, rate = self._waveform(entry)
        try:
            return self.audio_input(waveform, rate)[0]
        except ValueError as error:
            raise ValueError(f"{self._sound(entry)} does not fit the recipe: {error}") from error

    def _waveform(self, entry: Entry) -> tuple[Tensor, int]:
        path = self._sound(entry)
        if self._ending in STORED:
            raise ValueError(f"{path} is a spectrogram; for the waveform, give the wav files")
        rate = self._how.sample_rate
        waveform, rate = (read_sound(path, rate), rate) if rate else read_first_channel(path)
        if entry.end and not self._sounds.name.endswith("-SE"):
            first, last = (int(second * rate) for second in (entry.start, entry.end))
            if first >= len(waveform):
                raise ValueError(
                    f"{path} ends after {len(waveform) / rate:.2f} s; its event starts at "
                    f"{entry.start:g} s (line {entry.line.number} of the list); extract it again"
                )
            waveform = waveform[first:last]
        return waveform, rate

    def _chosen(self, count: int, luck: list[float] | None) -> list[int]:
        if self.frames_from == "first":
            return [min(part, count - 1) for part in range(self.frames)]
        if self.frames_from == "smv":
            return smv_frames(count, self.frames, luck)
        return choose_frames(count, self.frames, luck, self.REST)


def event_name(entry: Entry) -> str:
    """The folder of an event's frames where the clip's own folder holds those of another event."""
    return f"{entry.id}@{entry.start:g}-{entry.end:g}"


def _ending(folder: Path, entries: Sequence[Entry]) -> str:
    """Ending of the sound files: that of the first clip which is there."""
    for entry, ending in product(entries, (".wav", *STORED)):
        if (folder / (entry.id + ending)).is_file():
            return ending
    return ".wav"

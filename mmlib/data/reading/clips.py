"""Data sets of clips with sound and frames: CREMA-D, AVE and Kinetics-Sounds."""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmlib.arguments import one_of, whole_number
from mmlib.data.cremad import (
    CREMAD_LABELS,
    ave_entry,
    ave_lines,
    cremad_entries,
    cremad_names,
    first_file,
    kinetics_entries,
    kinetics_folder,
    kinetics_names,
    list_folder,
    of_actors,
)
from mmlib.data.reading.base import FromFiles, check_draws
from mmlib.data.reading.buffers import Buffers
from mmlib.data.reading.cache import Cache, cache_folder
from mmlib.data.reading.folders import inner_folder
from mmlib.data.reading.lists import SPLITS, Entry, carved, folder_of, without_repeats
from mmlib.data.reading.media import (
    RESAMPLER,
    frame_names,
    read_array,
    read_first_channel,
    read_image,
    read_sound,
)
from mmlib.data.reading.transforms import finish_pictures, own_luck, released_view
from mmlib.data.spectrograms import RECIPES, Recipe, spectrogram

STORED = (".npy", ".pkl", ".pt")  # spectrograms that come ready, beside .wav


class Clips(FromFiles):
    """What the three data sets share: a spectrogram and some frames of every clip of a list.

    `take` reads through a cache: `"audio"` `(B, 1, F, T)` float16, by the recipe `audio` of
    `mmlib.data.spectrograms.RECIPES`, and `"visual"` `(B, 3, frames, S, S)` uint8, S = 8/7 `size`.
    Whether a source has changed is looked at once in a run, and a frame is opened when it is first
    drawn: `check-data --thorough` opens all. `finish` gives float32: the sound as it is, the frames
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

    Raises `FileNotFoundError` for a root, list, folder or file that is missing; `ValueError`, with
    file and line, for a list or a file that is wrong, and for an option that is not known.
    """

    modalities = ("audio", "visual")
    REST = 0.5
    _buffers = Buffers()  # one for all: one split is read at a time

    def __init__(
        self,
        root: Path,
        split: str,
        entries: Sequence[Entry],
        classes: Sequence[str],
        sounds: Path,
        pictures: Path,
        audio: str,
        frames: int,
        frames_from: str,
        crops: str,
        size: int,
        cache: Path | None,
    ):
        self.root, self.split = root, one_of("split", split, SPLITS)
        self.classes = tuple(classes)
        self.audio = one_of("audio", audio, list(RECIPES))
        self.frames = whole_number("frames", frames, at_least=1)
        self.frames_from = one_of("frames_from", frames_from, ("segments", "smv", "first"))
        self.crops = one_of("crops", crops, ("shared", "released"))
        self.size = whole_number("size", size, at_least=1)
        self._sounds = folder_of(sounds, "the clips' sounds, a file each")
        self._pictures = folder_of(pictures, "the clips' frames, a folder each")
        self._keep(entries)
        self._entries = list(entries)
        self._ending = _ending(self._sounds, self.ids)
        self._cache = Cache(cache, self._recipe())
        self._frames_of: dict[int, list[str]] = {}

    def take(self, index: Tensor, draws: Tensor | None = None) -> dict[str, Tensor]:
        """The raw batch of samples `index`, `(B,)`, on the CPU; see the class for its shapes.

        `draws` is `(B, DRAWS)` in [0, 1), of which columns 5-7 choose the frames; `None`: those of
        evaluation. With `crops="released"` columns 0-4 crop and flip them here.
        """
        check_draws(index, draws)
        side = self.size if self.crops == "released" else _stored(self.size)
        empty, count = self._buffers.empty, len(index)
        audio = empty(count, 1, *self._recipe_of_sound.shape, dtype=torch.float16)
        visual = empty(count, self.frames, side, side, 3, dtype=torch.uint8)
        rows = [None] * len(index) if draws is None else draws.tolist()
        for row, (i, luck) in enumerate(zip(index.tolist(), rows, strict=True)):
            audio[row, 0] = self._sound_of(self._entries[i])
            self._show(i, luck, visual[row])
        return {"audio": audio, "visual": visual.movedim(-1, 1)}

    def finish(self, inputs: dict[str, Tensor], draws: Tensor | None = None) -> dict[str, Tensor]:
        """What the model gets: `(B, 1, F, T)` and `(B, 3, frames, size, size)`, float32.

        With `draws`, all frames of a sample get the same random crop and flip; without, the whole
        picture. With `crops="released"` they got theirs in `take`. Works where the inputs are.
        """
        own = None if self.crops == "released" else draws
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
        entry = self._entries[index]
        return {"audio": Path(self._sound(entry)), "visual": self._pictures / entry.id}

    def sources(self, index: int) -> list[Path]:
        """The files that a clip is made of: its sound, its frames' folder, and each frame."""
        entry = self._entries[index]
        folder = self._pictures / entry.id
        return [Path(self._sound(entry)), folder, *(folder / name for name in self._listed(entry))]

    @cached_property
    def sample_rate(self) -> int:
        """Sample rate of `waveform`, in Hz: the recipe's, or `sample_rate_of` the first clip."""
        return self._recipe_of_sound.sample_rate or self.sample_rate_of(0)

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

    @property
    def _recipe_of_sound(self) -> Recipe:
        return RECIPES[self.audio]

    def _show(self, index: int, draws: list[float] | None, visual: Tensor) -> None:
        """Put the chosen frames of a clip into `visual`, `(frames, S, S, 3)`."""
        names, id = self._names(index), self._entries[index].id
        chosen = self._chosen(len(names), None if draws is None else draws[5:])
        luck = None if draws is None or self.crops == "shared" else own_luck(draws)
        for place, frame in enumerate(chosen):
            visual[place] = self._view(self._picture(id, names[frame]), luck)

    def _view(self, picture: Tensor, luck: np.random.Generator | None = None) -> Tensor:
        return released_view(picture, luck, self.size) if self.crops == "released" else picture

    def _recipe(self) -> dict:
        """All that a cache entry depends on besides its files."""
        kept = "whole" if self.crops == "released" else _stored(self.size)
        return {
            "data": type(self).__name__,
            "audio": [self.audio, *self._recipe_of_sound, RESAMPLER],
            "sounds": self._sounds.name + self._ending,
            "pictures": [self._pictures.name, kept],
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
        path = f"{self._pictures}{os.sep}{clip}{os.sep}{name}"
        side = None if self.crops == "released" else _stored(self.size)
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
        names = frame_names(f"{self._pictures}{os.sep}{entry.id}")
        if entry.end and not _is_cut(self._pictures):
            first = min(int(entry.start), len(names) - 1)  # at 1 frame a second
            names = names[first : max(int(entry.end), first + 1)]
        return names

    # a string, for it is made for every clip of every batch
    def _sound(self, entry: Entry) -> str:
        return f"{self._sounds}{os.sep}{entry.id}{self._ending}"

    def _spectrogram(self, entry: Entry) -> Tensor:
        if self._ending in STORED:
            return read_array(self._sound(entry), tuple(self._recipe_of_sound.shape))
        waveform, rate = self._waveform(entry)
        try:
            return self.audio_input(waveform, rate)[0]
        except ValueError as error:
            raise ValueError(f"{self._sound(entry)} does not fit the recipe: {error}") from error

    def _waveform(self, entry: Entry) -> tuple[Tensor, int]:
        path = self._sound(entry)
        if self._ending in STORED:
            raise ValueError(f"{path} is a spectrogram; for the waveform, give the wav files")
        rate = self._recipe_of_sound.sample_rate
        waveform, rate = (read_sound(path, rate), rate) if rate else read_first_channel(path)
        if entry.end and not _is_cut(self._sounds):
            first, last = (int(second * rate) for second in (entry.start, entry.end))
            if first >= len(waveform):
                raise ValueError(
                    f"{path} ends after {len(waveform) / rate:.2f} s; its event starts at "
                    f"{entry.start:g} s (line {entry.number} of the list); extract it again"
                )
            waveform = waveform[first:last]
        return waveform, rate

    def _chosen(self, count: int, luck: list[float] | None) -> list[int]:
        if self.frames_from == "first":
            return [min(part, count - 1) for part in range(self.frames)]
        if self.frames_from == "smv":
            return smv_frames(count, self.frames, luck)
        return choose_frames(count, self.frames, luck, self.REST)


class CremaD(Clips):
    """CREMA-D: 7,442 acted sentences, six emotions, 91 actors.

    Reads below `root`: `AudioWAV/<clip>.wav` (or a stored spectrogram, `.npy`, `.pkl`, `.pt`),
    `Image-01-FPS/<clip>/00000.jpg` and so on, and the lists `train.csv` and `test.csv`
    (`clip,LABEL`) or `train.txt` and `test.txt` (`clip.flv Label`), in the folder `lists`, else in
    `data/CREMAD`, else in `root`. `sounds` and `pictures` name other folders.

    `split_by="list"`: the usual lists, `val` being a tenth of each class of train, whatever the
    seed. The same actors are in all parts, so part of the test accuracy is that of known faces and
    voices. `split_by="actor"`: both lists pooled, and a tenth of the actors each for `test` and
    `val` (9, 9 and 73 of 91): the first ones by SHA-256 of their number.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        lists: str | Path | None = None,
        audio: str = "ogm",
        frames: int = 1,
        frames_from: str = "segments",
        crops: str = "shared",
        split_by: str = "list",
        repeats: str = "error",
        cache: str | Path | bool | None = None,
        sounds: str = "AudioWAV",
        pictures: str = "Image-01-FPS",
        size: int = 224,
    ):
        root = folder_of(root, "the root of CREMA-D")
        one_of("split", split, SPLITS)
        folder = list_folder(root, lists, "data/CREMAD")
        if one_of("split_by", split_by, ("list", "actor")) == "actor":
            entries = of_actors(folder, split, repeats)
        else:
            path = first_file(folder, *cremad_names("test" if split == "test" else "train"))
            entries = without_repeats(path, cremad_entries(path), repeats)
            entries = entries if split == "test" else carved(entries, split)
        super().__init__(
            root,
            split,
            entries,
            tuple(CREMAD_LABELS),
            root / sounds,
            root / pictures,
            audio,
            frames,
            frames_from,
            crops,
            size,
            cache_folder(root, cache),
        )


class AVE(Clips):
    """AVE: 4,143 clips of ten seconds, an event in a part of each, 28 classes.

    Reads below `root`, or below `root/AVE_Dataset`: the lists `trainSet.txt`, `valSet.txt` and
    `testSet.txt` (`Category&id&good&start&end`; in the folder `lists` if given), and of the event
    alone `Audio-1004-SE/<id>.pkl` and `Image-01-FPS-SE/<id>/00000.jpg` and so on. In place of these
    two it takes `AudioWAV/<id>.wav` and `Image-01-FPS/<id>/`, of the whole ten seconds at 1 frame a
    second, and cuts the event out. `sounds` and `pictures` name other folders, which hold the event
    alone if they end in `-SE`. Classes come in the order in which `testSet.txt` first names them.

    Some clips stand in a list twice, with two labels: `repeats="first"` keeps the first one, as
    DI-MML does, `"last"` the last, as OGM-GE does, `"error"` refuses them.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        lists: str | Path | None = None,
        audio: str = "pmr-10s",
        frames: int = 4,
        frames_from: str = "segments",
        crops: str = "shared",
        repeats: str = "first",
        cache: str | Path | bool | None = None,
        sounds: str | None = None,
        pictures: str | None = None,
        size: int = 224,
    ):
        root = folder_of(root, "the root of AVE")
        one_of("split", split, SPLITS)
        root = inner_folder(root, "AVE_Dataset")
        folder = list_folder(root, lists, "data/AVE")
        texts = ave_lines(folder / "testSet.txt")
        classes = tuple(dict.fromkeys(fields[0] for _, fields in texts))
        path = folder / f"{split}Set.txt"
        entries = [ave_entry(path, number, fields, classes) for number, fields in ave_lines(path)]
        super().__init__(
            root,
            split,
            without_repeats(path, entries, repeats),
            classes,
            root / sounds if sounds else _first_folder(root, "Audio-1004-SE", "AudioWAV"),
            root / pictures if pictures else _first_folder(root, "Image-01-FPS-SE", "Image-01-FPS"),
            audio,
            frames,
            frames_from,
            crops,
            size,
            cache_folder(root, cache),
        )


class KineticsSounds(Clips):
    """Kinetics-Sounds: ten-second clips of 31 audible actions of Kinetics-400.

    Reads below `root`: `ks_audio/<split>/<clip>.npy` (a stored filter bank) or `.wav` (its first
    channel, at its own rate, goes into one), and `ks_visual/<split>/<clip>/frame_00001.jpg` and so
    on. The lists, in the folder `lists`, else in
    `root` or `root/ks_audio`, are the first that is there of `my_<split>.txt` (`clip,10,label`),
    `<split>_1fps_path.txt` (`path ... label`, the path's last part being the clip) and
    `<split>.txt` (`label,clip`, with the labels in `stat.txt`). Without a list for `val` it is a
    tenth of each class of train, whatever the seed, and its files are in `train`. `classes` is how
    many, or their names; the lists have numbers only.

    Of ten frames `frames_from="segments"` draws one of 1-3, 4-6 and 7-10 in training,
    `frames_from="smv"` one of 1-3, 4-6 and 7-9, as SMV does; evaluation takes 1, 4 and 7 by either.
    """

    REST = 0.0  # the 1st, 4th and 7th of ten frames, as in the literature

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        lists: str | Path | None = None,
        audio: str = "fbank",
        frames: int = 3,
        frames_from: str = "segments",
        crops: str = "shared",
        classes: int | Sequence[str] = 31,
        repeats: str = "error",
        cache: str | Path | bool | None = None,
        size: int = 224,
    ):
        root = folder_of(root, "the root of Kinetics-Sounds")
        one_of("split", split, SPLITS)
        folder = kinetics_folder(root, lists)
        shipped = any((folder / name).is_file() for name in kinetics_names("val"))
        home = "train" if split == "val" and not shipped else split
        path = first_file(folder, *kinetics_names(home))
        if isinstance(classes, int):
            classes = [str(label) for label in range(whole_number("classes", classes, at_least=1))]
        entries, classes = kinetics_entries(path, tuple(classes))
        entries = without_repeats(path, entries, repeats)
        super().__init__(
            root,
            split,
            entries if shipped or split == "test" else carved(entries, split),
            classes,
            root / "ks_audio" / home,
            root / "ks_visual" / home,
            audio,
            frames,
            frames_from,
            crops,
            size,
            cache_folder(root, cache),
        )


def choose_frames(count: int, frames: int, luck: list[float] | None, rest: float) -> list[int]:
    """Which of a clip's `count` frames to take, in order: one of each of `frames` equal parts.

    `luck` holds three numbers in [0, 1) that place the frame within its part; more than three are
    scrambled from them. Without it every frame is at `rest` of its part. With fewer frames than
    parts some are taken again.
    """
    chosen = []
    for part in range(frames):
        first = part * count // frames
        last = max((part + 1) * count // frames, first + 1)
        place = rest if luck is None else _luck_of(part, luck)
        chosen.append(first + int(place * (last - first)))
    return chosen


def smv_frames(count: int, frames: int, luck: list[float] | None) -> list[int]:
    """The frames that SMV's loader takes (commit 7ed12b0), counted from 0; `luck` as above.

    Its parts have `count // frames` frames each and what is left over is never shown: of ten frames
    in three parts, the tenth. Of each part one is drawn; in evaluation it is the 1st of 3, the 2nd
    of 4. No frame after the ninth is taken, and of a clip of at most two frames a part the first is
    taken every time. (In evaluation the released code fails at 12 frames or more.)
    """
    if count <= 2 * frames:
        return [0] * frames
    length = count // frames
    middle = max(length // 2, 1) - 1
    places = [middle if luck is None else int(_luck_of(k, luck) * length) for k in range(frames)]
    return [min(k * length + place, 8) for k, place in enumerate(places)]


def _luck_of(part: int, luck: list[float]) -> float:
    return luck[part % 3] * 997 ** (part // 3) % 1


def _stored(size: int) -> int:
    """Side of the pictures in the cache: room for a crop, 256 for 224."""
    return size * 8 // 7


def _is_cut(folder: Path) -> bool:
    return folder.name.endswith("-SE")


def _ending(folder: Path, ids: Sequence[str]) -> str:
    """Ending of the sound files: that of the first clips which are there."""
    for id in ids[:20]:
        for ending in (".wav", *STORED):
            if (folder / (id + ending)).is_file():
                return ending
    return ".wav"


def _first_folder(root: Path, *names: str) -> Path:
    return next((root / name for name in names if (root / name).is_dir()), root / names[-1])

"""Kinetics-Sounds: an action that is heard and seen."""

import re
from collections.abc import Sequence
from pathlib import Path

from mmlib.arguments import whole_number
from mmlib.data.reading.clips import Clips
from mmlib.data.reading.folders import first_file, folder_of, inner_folder
from mmlib.data.reading.lists import Entry, carved, read_lines, without_repeats


class KineticsSounds(Clips):
    """Kinetics-Sounds: ten-second clips of 31 audible actions of Kinetics-400.

    Reads below `root`: `ks_audio/<split>/<clip>.npy` (a stored filter bank) or `.wav` (its first
    channel, at its own rate, goes into one), and `ks_visual/<split>/<clip>/frame_00001.jpg` and so
    on. The lists, in the folder `lists`, else in `root` or `root/ks_audio`, are the first that is
    there of `my_<split>.txt` (`clip,10,label`), `<split>_1fps_path.txt` (`path ... label`, the
    path's last part being the clip) and `<split>.txt` (`label,clip`, with the labels in
    `stat.txt`). Without a list for `val` it is a tenth of each class of train, whatever the seed,
    and its files are in `train`. `classes` is how many, or their names; the lists have numbers
    only.

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
        missing: str = "error",
        size: int = 224,
    ):
        self._open(root, split, "the root of Kinetics-Sounds", missing)
        folder = folder_of_lists(self.root, lists)
        shipped = has_list(folder, "val")
        home = "train" if split == "val" and not shipped else split
        if isinstance(classes, int):
            classes = map(str, range(whole_number("classes", classes, at_least=1)))
        entries, classes = read_list(folder, home, tuple(classes), repeats)
        entries = entries if shipped or split == "test" else carved(entries, split)
        sounds, pictures = self.root / "ks_audio" / home, self.root / "ks_visual" / home
        super().__init__(
            entries, classes, sounds, pictures, audio, frames, frames_from, crops, size, cache
        )


def folder_of_lists(root: Path, lists: str | Path | None = None) -> Path:
    """Where the lists are: `lists` if given, else `root` or `root/ks_audio`."""
    if lists is not None:
        return folder_of(lists, "the data set's lists")
    return root if has_list(root, "train") else inner_folder(root, "ks_audio")


def has_list(folder: Path, split: str) -> bool:
    """Whether one of the lists that a split may have is in the folder."""
    return any((folder / name).is_file() for name in _names(split))


def _names(split: str) -> tuple[str, ...]:
    return f"my_{split}.txt", f"{split}_1fps_path.txt", f"{split}.txt"


def read_list(
    folder: Path, split: str, classes: tuple[str, ...], repeats: str
) -> tuple[list[Entry], tuple[str, ...]]:
    """The clips of a split's list, and the classes: those of `stat.txt` where it has names."""
    path = first_file(folder, *_names(split))
    lines = read_lines(path)
    commas = lines[0].text.count(",")
    if commas == 1:
        stat = path.with_name("stat.txt")
        classes = tuple(dict.fromkeys(line.text.partition(",")[0] for line in read_lines(stat)))
    form = {0: "'path ... label'", 1: "'label,clip'"}.get(commas, "'clip,10,label'")
    entries = []
    for line in lines:
        fields = [field.strip() for field in line.text.split("," if commas else None)]
        if len(fields) < 2 or line.text.count(",") != commas or commas > 2 or not all(fields):
            raise line.bad(form)
        if commas == 1:
            label, clip = line.known_label(fields[0], classes), fields[1]
        else:
            label, clip = line.whole_label(fields[-1], len(classes)), fields[0]
        if commas == 0:
            clip = re.sub(r"\.(mp4|wav|npy)$", "", clip.rstrip("/").rpartition("/")[2])
        entries.append(Entry(line.safe_id(clip), label, line))
    return without_repeats(entries, repeats), classes

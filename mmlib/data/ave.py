"""AVE: an event that is heard and seen, in a part of a clip."""

import re
from pathlib import Path

from mmlib.data.reading.clips import Clips
from mmlib.data.reading.folders import inner_folder, list_folder
from mmlib.data.reading.lists import Entry, Line, read_lines, without_repeats


class AVE(Clips):
    """AVE: 4,143 clips of ten seconds, an event in a part of each, 28 classes.

    Reads below `root`, or below `root/AVE_Dataset`: the lists `trainSet.txt`, `valSet.txt` and
    `testSet.txt` (`Category&id&good&start&end`; in the folder `lists` if given), and of the event
    alone `Audio-1004-SE/<id>.pkl` and `Image-01-FPS-SE/<id>/00000.jpg` and so on. In place of these
    two it takes `AudioWAV/<id>.wav` and `Image-01-FPS/<id>/`, of the whole ten seconds at 1 frame a
    second, and cuts the event out. `sounds` and `pictures` name other folders, which hold the event
    alone if they end in `-SE`. Classes come in the order in which `testSet.txt` first names them.

    Some clips stand in a list twice, with two labels: `repeats="first"` keeps the first one, as
    DI-MML does, `"last"` the last, as OGM-GE does, `"error"` refuses them. Frames of an event from
    second 2 to 5 are taken from the folder `<id>@2-5` if there is one, which `prepare` makes where
    the lists give a clip two events.
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
        missing: str = "error",
        sounds: str | None = None,
        pictures: str | None = None,
        size: int = 224,
    ):
        self._open(root, split, "the root of AVE", missing)
        self.root = inner_folder(self.root, "AVE_Dataset")
        folder = list_folder(self.root, lists, "data/AVE")
        classes = classes_of(folder / "testSet.txt")
        entries = read_list(folder / f"{split}Set.txt", classes, repeats)
        sounds = self.root / (sounds or self._there("Audio-1004-SE", "AudioWAV"))
        pictures = self.root / (pictures or self._there("Image-01-FPS-SE", "Image-01-FPS"))
        super().__init__(
            entries, classes, sounds, pictures, audio, frames, frames_from, crops, size, cache
        )

    def _there(self, cut: str, whole: str) -> str:
        return cut if (self.root / cut).is_dir() else whole


def classes_of(path: Path) -> tuple[str, ...]:
    """The categories of a list in the order in which it first names them."""
    return tuple(dict.fromkeys(fields[0] for _, fields in _fields(path)))


def read_list(path: Path, classes: tuple[str, ...], repeats: str) -> list[Entry]:
    """The clips of a list, with the times of their events."""
    entries = []
    for line, (category, clip, _, *times) in _fields(path):
        if not all(re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", time) for time in times):
            raise line.bad("start and end in seconds")
        start, end = map(float, times)
        if not start < end:
            raise line.bad("an event that ends after its start")
        label = line.known_label(category, classes)
        entries.append(Entry(line.safe_id(clip), label, line, start, end))
    return without_repeats(entries, repeats)


def _fields(path: Path) -> list[tuple[Line, list[str]]]:
    """Every line and its five fields; a header is left out."""
    lines = []
    for line in read_lines(path):
        fields = [field.strip() for field in line.text.split("&")]
        if len(fields) != 5 or not fields[0]:
            raise line.bad("'Category&VideoID&Quality&StartTime&EndTime'")
        if fields[:2] != ["Category", "VideoID"]:
            lines.append((line._replace(text="&".join(fields)), fields))
    return lines

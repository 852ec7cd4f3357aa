"""CREMA-D: an acted sentence, its sound and the face that says it."""

import hashlib
import re
from pathlib import Path

from mmlib.arguments import one_of
from mmlib.data.reading.clips import Clips
from mmlib.data.reading.folders import first_file, list_folder
from mmlib.data.reading.lists import Entry, WrongList, carved, read_lines, without_repeats

LABELS = {  # the emotions, each as the lists may spell it
    "NEU": ("NEU", "Neutral"),
    "HAP": ("HAP", "Happy", "Happiness"),
    "SAD": ("SAD", "Sad", "Sadness"),
    "FEA": ("FEA", "Fear"),
    "DIS": ("DIS", "Disgust"),
    "ANG": ("ANG", "Anger", "Angry"),
}


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
        missing: str = "error",
        sounds: str = "AudioWAV",
        pictures: str = "Image-01-FPS",
        size: int = 224,
    ):
        self._open(root, split, "the root of CREMA-D", missing)
        folder = list_folder(self.root, lists, "data/CREMAD")
        if one_of("split_by", split_by, ("list", "actor")) == "actor":
            entries = of_actors(folder, split, repeats)
        else:
            entries = read_list(folder, "test" if split == "test" else "train", repeats)
            entries = entries if split == "test" else carved(entries, split)
        sounds, pictures = self.root / sounds, self.root / pictures
        super().__init__(
            entries, LABELS, sounds, pictures, audio, frames, frames_from, crops, size, cache
        )


def read_list(folder: Path, part: str, repeats: str) -> list[Entry]:
    """The clips of the list of `part`, `"train"` or `"test"`: `clip,LABEL` or `clip.flv Label`.

    Where `stat.csv`, the class list, stands beside it, a label that it leaves out is refused.
    """
    path = first_file(folder, f"{part}.csv", f"{part}.txt")
    known, stat = tuple(LABELS), path.with_name("stat.csv")
    if stat.is_file():
        known = [known[line.known_label(line.text, known)] for line in read_lines(stat)]
    spelled = {name: emotion for emotion in known for name in LABELS[emotion]}
    entries = []
    for line in read_lines(path):
        fields = line.text.split(",") if "," in line.text else line.text.rsplit(maxsplit=1)
        clip, label = (field.strip() for field in fields) if len(fields) == 2 else ("", "")
        if not clip or not label:
            raise line.bad("'clip,LABEL' or 'clip.flv Label'")
        line.known_label(label, tuple(spelled))
        id = line.safe_id(clip.removesuffix(".flv"))
        entries.append(Entry(id, tuple(LABELS).index(spelled[label]), line))
    return without_repeats(entries, repeats)


def of_actors(folder: Path, split: str, repeats: str) -> list[Entry]:
    """The clips of a split's actors, out of both lists."""
    pooled = {}
    for part in ("train", "test"):
        entries = read_list(folder, part, repeats)
        for entry in entries:
            if entry.id in pooled:
                raise entry.line.bad("a clip that is not in train too", entry.id)
            if not re.fullmatch(r"[0-9]+_.+", entry.id):
                raise entry.line.bad("a clip named <actor>_<sentence>_...", entry.id)
        pooled |= {entry.id: entry for entry in entries}
    mine = actors_of(split, set(map(actor_of, pooled)))
    return [entry for id, entry in pooled.items() if actor_of(id) in mine]


def actor_of(clip: str) -> str:
    """The actor of a CREMA-D clip: `1001` of `1001_IEO_ANG_HI`."""
    return clip.partition("_")[0]


def actors_of(split: str, actors: set[str]) -> set[str]:
    """Which of `actors` a split gets: in the order of their SHA-256 a tenth (at least one) for
    `test`, as many for `val`, the others for `train`. Raises `ValueError` for fewer than three."""
    if len(actors) < 3:
        raise WrongList(f"{len(actors)} actors; splitting by actor needs at least 3")
    order = sorted(actors, key=lambda actor: hashlib.sha256(actor.encode()).hexdigest())
    tenth = max(round(len(order) / 10), 1)
    parts = {"test": order[:tenth], "val": order[tenth : 2 * tenth], "train": order[2 * tenth :]}
    return set(parts[split])

"""The lists of CREMA-D, AVE and Kinetics-Sounds, in the forms that public code uses."""

import hashlib
import re
from pathlib import Path

from mmlib.data.reading.lists import (
    Entry,
    bad_line,
    folder_of,
    known_label,
    read_lines,
    safe_id,
    whole_label,
    without_repeats,
)

CREMAD_LABELS = {
    "NEU": ("NEU", "Neutral"),
    "HAP": ("HAP", "Happy", "Happiness"),
    "SAD": ("SAD", "Sad", "Sadness"),
    "FEA": ("FEA", "Fear"),
    "DIS": ("DIS", "Disgust"),
    "ANG": ("ANG", "Anger", "Angry"),
}


def list_folder(root: Path, lists: str | Path | None, usual: str) -> Path:
    """`lists` if given, else `root/usual` if it is there, else `root`."""
    if lists is not None:
        return folder_of(lists, "the data set's lists")
    return root / usual if (root / usual).is_dir() else root


def first_file(folder: Path, *names: str) -> Path:
    """The first of `names` that is in the folder; otherwise a `FileNotFoundError`."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{folder} holds no list {' or '.join(names)}; put it there, or give its folder as lists="
    )


def cremad_names(part: str) -> tuple[str, str]:
    """What the list of `part`, `"train"` or `"test"`, may be called."""
    return f"{part}.csv", f"{part}.txt"


def cremad_entries(path: Path) -> list[Entry]:
    """The clips of a list, `clip,LABEL` or `clip.flv Label`.

    Where `stat.csv`, the class list, stands beside it, a label that it leaves out is refused.
    """
    emotions, stat = tuple(CREMAD_LABELS), path.with_name("stat.csv")
    known = emotions
    if stat.is_file():
        known = [emotions[known_label(stat, *line, emotions)] for line in read_lines(stat)]
    spelled = {name: emotion for emotion in known for name in CREMAD_LABELS[emotion]}
    entries = []
    for number, text in read_lines(path):
        fields = text.split(",") if "," in text else text.rsplit(maxsplit=1)
        clip, label = (field.strip() for field in fields) if len(fields) == 2 else ("", "")
        if not clip or not label:
            raise bad_line(path, number, text, "'clip,LABEL' or 'clip.flv Label'")
        known_label(path, number, label, tuple(spelled))
        id = safe_id(path, number, clip.removesuffix(".flv"))
        entries.append(Entry(id, emotions.index(spelled[label]), number))
    return entries


def of_actors(folder: Path, split: str, repeats: str) -> list[Entry]:
    """The clips of a split's actors, out of both lists."""
    pooled, seen = [], set()
    for part in ("train", "test"):
        path = first_file(folder, *cremad_names(part))
        entries = without_repeats(path, cremad_entries(path), repeats)
        for entry in entries:
            if entry.id in seen:
                raise bad_line(path, entry.number, entry.id, "a clip that is not in train too")
            if not re.fullmatch(r"[0-9]+_.+", entry.id):
                raise bad_line(path, entry.number, entry.id, "a clip named <actor>_<sentence>_...")
        seen |= {entry.id for entry in entries}
        pooled += entries
    mine = actors_of(split, {actor_of(entry.id) for entry in pooled})
    return [entry for entry in pooled if actor_of(entry.id) in mine]


def actor_of(clip: str) -> str:
    """The actor of a CREMA-D clip: `1001` of `1001_IEO_ANG_HI`."""
    return clip.partition("_")[0]


def actors_of(split: str, actors: set[str]) -> set[str]:
    """Which of `actors` a split gets: in the order of their SHA-256 a tenth (at least one) for
    `test`, as many for `val`, the others for `train`. Raises `ValueError` for fewer than three."""
    if len(actors) < 3:
        raise ValueError(f"{len(actors)} actors; splitting by actor needs at least 3")
    order = sorted(actors, key=lambda actor: hashlib.sha256(actor.encode()).hexdigest())
    tenth = max(round(len(order) / 10), 1)
    parts = {"test": order[:tenth], "val": order[tenth : 2 * tenth], "train": order[2 * tenth :]}
    return set(parts[split])


def ave_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Number and the five fields of every line; a header is left out."""
    lines = []
    for number, text in read_lines(path):
        fields = [field.strip() for field in text.split("&")]
        if len(fields) != 5 or not fields[0]:
            raise bad_line(path, number, text, "'Category&VideoID&Quality&StartTime&EndTime'")
        if fields[:2] != ["Category", "VideoID"]:
            lines.append((number, fields))
    return lines


def ave_entry(path: Path, number: int, fields: list[str], classes: tuple[str, ...]) -> Entry:
    """The clip of a line of `ave_lines`, checked."""
    category, clip, _, *times = fields
    if not all(re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", time) for time in times):
        raise bad_line(path, number, "&".join(fields), "start and end in seconds")
    start, end = map(float, times)
    if not start < end:
        raise bad_line(path, number, "&".join(fields), "an event that ends after its start")
    label = known_label(path, number, category, classes)
    return Entry(safe_id(path, number, clip), label, number, start, end)


def kinetics_folder(root: Path, lists: str | Path | None) -> Path:
    """Where the lists are: `lists` if given, else `root` or `root/ks_audio`."""
    if lists is not None:
        return folder_of(lists, "the data set's lists")
    there = any((root / name).is_file() for name in kinetics_names("train"))
    return root if there or not (root / "ks_audio").is_dir() else root / "ks_audio"


def kinetics_names(split: str) -> tuple[str, ...]:
    """What the list of a split may be called."""
    return f"my_{split}.txt", f"{split}_1fps_path.txt", f"{split}.txt"


def kinetics_entries(path: Path, classes: tuple[str, ...]) -> tuple[list[Entry], tuple[str, ...]]:
    """The clips of a list, and the classes: those of `stat.txt` where the list has names."""
    lines = read_lines(path)
    commas = lines[0].text.count(",")
    if commas == 1:
        stat = path.with_name("stat.txt")
        classes = tuple(dict.fromkeys(line.text.partition(",")[0] for line in read_lines(stat)))
    form = {0: "'path ... label'", 1: "'label,clip'"}.get(commas, "'clip,10,label'")
    entries = []
    for number, text in lines:
        fields = [field.strip() for field in (text.split(",") if commas else text.split())]
        if len(fields) < 2 or text.count(",") != commas or commas > 2 or not all(fields):
            raise bad_line(path, number, text, form)
        if commas == 1:
            label, clip = known_label(path, number, fields[0], classes), fields[1]
        else:
            label, clip = whole_label(path, number, fields[-1], len(classes)), fields[0]
        if commas == 0:
            clip = re.sub(r"\.(mp4|wav|npy)$", "", clip.rstrip("/").rpartition("/")[2])
        entries.append(Entry(safe_id(path, number, clip), label, number))
    return entries, classes

"""What is in a data set's folder, held against what should be in it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm.auto import tqdm

from mmlib.arguments import one_of
from mmlib.data.kinetics_sounds import KineticsSounds, folder_of_lists, has_list
from mmlib.data.mvsa import MVSASingle
from mmlib.data.reading.clips import Clips
from mmlib.data.reading.folders import folder_of, inner_folder
from mmlib.data.reading.lists import SPLITS
from mmlib.data.tools.published import KNOWN, Known
from mmlib.data.tools.report import Report, Row
from mmlib.data.tools.voices import check_voices

OPENED = 20  # samples of a split that are opened, evenly spread, unless all are
POINTER = b"version https://git-lfs"


def check_data(
    name: str,
    root: str | Path,
    thorough: bool = False,
    expected: bool = True,
    progress: bool = True,
) -> Report:
    """Hold a data set against what is published of it, and look for files missing or broken.

    That every file is there and not empty is checked for all samples; 20 of a split are read, or
    all with `thorough`, which also tells the silent sounds among them. With `expected=False`, for a
    sample tree, counts may differ from the published ones. Of the human voices of AV-Digits all are
    read, and none may lack. Nothing is cached or changed.

    Raises `ValueError` for an unknown name and `FileNotFoundError` for a missing root, or one
    without any voice; all else that is wrong stands in the report.
    """
    if one_of("name", name, (*KNOWN, "av-digits")) == "av-digits":
        return check_voices(Path(root), progress)
    known = KNOWN[name]
    root = folder_of(root, f"the root of {name}")
    splits, problems = _open(known, root)
    looks = {
        split: _look(data, thorough, f"check {name} {split}", progress)
        for split, data in splits.items()
    }
    missing = [text for look in looks.values() for text in look.missing.values()]
    broken = [text for look in looks.values() for text in look.broken]
    return Report(
        name=name,
        root=root,
        classes=(max((len(data.classes) for data in splits.values()), default=0), known.classes),
        rows=tuple(_rows(known, root, splits, looks)),
        problems=tuple(problems),
        missing=tuple(missing),
        broken=tuple(broken),
        silent=tuple(text for look in looks.values() for text in look.silent),
        opened=sum(look.opened for look in looks.values()),
        samples=sum(map(len, splits.values())),
        advice=tuple(_advice(name, known, root, bool(problems), bool(missing), bool(broken))),
        strict=expected,
    )


def _open(known: Known, root: Path) -> tuple[dict, list[str]]:
    """The splits that can be opened, and why the others cannot."""
    splits, problems = {}, {}
    for split in SPLITS:
        try:
            splits[split] = known.kind(root, split, cache=False, **known.options)
        except (OSError, ValueError) as error:
            problems.setdefault(str(error), []).append(split)
    return splits, [f"{', '.join(names)}: {text}" for text, names in problems.items()]


class _Look(NamedTuple):
    """What is missing of which sample of a split, what cannot be read or heard; number opened."""

    missing: dict[int, str]
    broken: list[str]
    silent: list[str]
    opened: int


def _look(data, thorough: bool, title: str, progress: bool) -> _Look:
    missing, broken, silent, opened = {}, [], [], 0
    step = 1 if thorough else max(len(data) / OPENED, 1)
    chosen = {int(k * step) for k in range(len(data)) if k * step < len(data)}
    for i in tqdm(range(len(data)), desc=title, unit="sample", disable=not progress, leave=False):
        try:
            text = _absent(data, i)
            if text:
                missing[i] = text
            elif i in chosen:
                opened += 1
                clips = isinstance(data, Clips)
                data.whole(i) if clips else data.take(torch.tensor([i]))
                if clips and data.is_silent(i):
                    silent.append(f"{data.ids[i]} ({data.files(i)['audio']})")
        except FileNotFoundError as error:
            missing[i] = str(error)
        except (OSError, ValueError) as error:
            broken.append(str(error))
    return _Look(missing, broken, silent, opened)


def _absent(data, index: int) -> str:
    """The first file of a sample that is missing, empty or a pointer to one; or nothing."""
    for path in _paths(data, index):
        if not path.exists():
            return f"{path} is missing"
        size = path.stat().st_size if path.is_file() else 1000
        if not size:
            return f"{path} is empty"
        if size < 200 and path.read_bytes().startswith(POINTER):
            return f"{path} is a pointer of git-lfs; run git lfs pull"
    return ""


def _paths(data, index: int) -> Iterator[Path]:
    if isinstance(data, Clips):  # whose sources fail where a folder of frames is missing
        yield from data.files(index).values()
    yield from data.sources(index)


def _rows(known: Known, root: Path, splits: Mapping, looks: Mapping[str, _Look]) -> Iterator[Row]:
    """All and every class, of the splits that are counted together."""
    published = _is_published(known, root, splits)
    counts = known.counts if published else {(split,): None for split in SPLITS}
    by_class = known.by_class if published else {}
    for names in dict.fromkeys([*counts, *by_class]):
        if not all(split in splits for split in names):
            continue
        total = counts.get(names, sum(known.counts.values()))
        yield Row(names, "all", total, *_count(splits, looks, names))
        labels = by_class.get(names, {})
        for number, label in enumerate(splits[names[0]].classes):
            wanted = labels.get("", labels.get(label.replace("_", " ")))
            yield Row(names, label, wanted, *_count(splits, looks, names, number))


def _is_published(known: Known, root: Path, splits: Mapping) -> bool:
    """Whether the lists are those whose numbers are known."""
    if known.kind is MVSASingle:
        shipped = (root / "my_val_mvsa.txt").is_file()
        return all(d.layout == "qmf" or d.layout == "mla" and shipped for d in splits.values())
    if known.kind is KineticsSounds:
        return not has_list(folder_of_lists(root), "val")
    return True


def _count(
    splits: Mapping, looks: Mapping[str, _Look], names: Sequence[str], label: int | None = None
) -> tuple[int, int]:
    """How many samples of a class, or all, are listed, and how many of them lack nothing."""
    targets = [(n, *pair) for n in names for pair in enumerate(splits[n].target.tolist())]
    mine = [i in looks[n].missing for n, i, own in targets if label in (None, own)]
    return len(mine), mine.count(False)


def _advice(
    name: str, known: Known, root: Path, problems: bool, missing: bool, broken: bool
) -> Iterator[str]:
    if problems:
        yield f"lists: {known.lists.replace('ROOT', str(root))}"
    if problems or missing:
        inner = inner_folder(root, "AVE_Dataset")
        command = f"python -m mmlib prepare {name} {root}"
        if known.videos and (inner / known.videos).is_dir():
            yield f"{command}, which makes frames and sound from {known.videos}"
        elif known.videos:
            yield f"get the videos: {known.media}"
            yield f"put them in {inner / known.videos}, then {command}"
        else:
            yield f"get the files: {known.media}"
    if broken:
        yield "get or extract anew what cannot be read"

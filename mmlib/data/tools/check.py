"""What is in a data set's folder, held against what should be in it."""

import inspect
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm.auto import tqdm

from mmlib.arguments import check_kinds, known_names, one_of
from mmlib.data.reading.clips import Clips
from mmlib.data.reading.damage import damage_of, refusal_of
from mmlib.data.reading.folders import folder_of
from mmlib.data.reading.lists import SPLITS
from mmlib.data.reading.missing import SMALL, what_stands_for
from mmlib.data.reading.near import beside
from mmlib.data.tools.advice import advice_for
from mmlib.data.tools.leaks import leaks_of
from mmlib.data.tools.published import KNOWN, Known, numbers_of
from mmlib.data.tools.report import SHOWN, Fault, Report
from mmlib.data.tools.table import Row
from mmlib.data.tools.voices import check_voices

OPENED = 20  # samples of a split that are opened, evenly spread, unless all are


def check_data(
    name: str,
    root: str | Path,
    thorough: bool = False,
    expected: bool = True,
    progress: bool = True,
    options: Mapping | None = None,
) -> Report:
    """Hold a data set against what is published of it, and look for files missing or broken.

    That every file is there and not empty is checked for all samples; 20 of a split are read, or
    all with `thorough`, which also tells the silent sounds among them. With `expected=False`, for a
    sample tree, counts may differ from the published ones. `options` are those of the data set, by
    name; with `missing="drop"` a missing file is no fault. Of the human voices of AV-Digits all are
    read, and none may lack. Nothing is cached or changed.

    Raises `ValueError` for an unknown name or option and `FileNotFoundError` for a missing root,
    or one without any voice; all else that is wrong stands in the report.
    """
    if one_of("name", name, (*KNOWN, "av-digits")) == "av-digits":
        known_names("--data-options", options or {}, (), name)  # all recordings are looked at
        return check_voices(Path(root), progress)
    known = KNOWN[name]
    root = folder_of(root, f"the root of {name}")
    options = _checked(name, known.kind, dict(options or {}))
    splits, problems = _open(known.kind, root, known.options | options | {"missing": "error"})
    looks = {
        split: _look(data, thorough, f"check {name} {split}", progress)
        for split, data in splits.items()
    }
    missing = [fault for look in looks.values() for fault in look.missing.values()]
    drop = options.get("missing") == "drop"
    kept, failed = _without(known, root, options) if missing else ({}, {})
    problems |= failed if drop else {}
    report = Report(
        name=name,
        root=root,
        classes=(max((len(data.classes) for data in splits.values()), default=0), known.classes),
        part=_part(known, splits),
        rows=tuple(_rows(numbers_of(known, splits, options, root), splits, looks)),
        problems=tuple(f"{', '.join(names)}: {text}" for text, (names, _) in problems.items()),
        missing=tuple(missing),
        broken=tuple(fault for look in looks.values() for fault in look.broken),
        silent=tuple(text for look in looks.values() for text in look.silent),
        leaks=tuple(leaks_of(known.alike, splits)),
        opened=sum(look.opened for look in looks.values()),
        samples=sum(map(len, splits.values())),
        kept=kept if drop or not failed else {},
        drop=drop,
        strict=expected,
    )
    errors = [error for _, error in problems.values()]
    return report._replace(advice=tuple(advice_for(report, known, errors)))


def _checked(name: str, kind: type, options: dict) -> dict:
    """The options, if the data set has them."""
    known = tuple(inspect.signature(kind).parameters)[2:]  # after root and split
    known_names("--data-options", options, known, name)
    check_kinds(kind.__init__, options)
    return options


Problems = dict[
    str, tuple[list[str], Exception]
]  # by what is said: the splits, and what was raised


def _open(kind: type, root: Path, options: Mapping) -> tuple[dict, Problems]:
    """The splits that can be opened, and why the others cannot.

    Raises `ValueError` where it is a value among the options.
    """
    splits, problems = {}, {}
    for split in SPLITS:
        try:
            splits[split] = kind(root, split, **options | {"cache": False})
        except (OSError, ValueError) as error:
            if any(_is_about(error, *option) for option in options.items()):
                raise
            problems.setdefault(str(error), ([], error))[0].append(split)
    return splits, problems


def _is_about(error: Exception, name: str, value: object) -> bool:
    """Whether an option's value is wrong, or the folder that it names is missing."""
    return str(error).startswith(f"{name} is ") or f"{value} is missing or no folder" in str(error)


def _without(
    known: Known, root: Path, options: Mapping
) -> tuple[dict[str, tuple[int, int]], Problems]:
    """How many samples of each split `missing="drop"` keeps, of how many, and why none."""
    drop = {"missing": "drop"}
    splits, problems = _open(known.kind, root, known.options | options | drop)
    counts = ((split, data.dropped) for split, data in splits.items())
    return {split: (dropped.kept, dropped.listed) for split, dropped in counts}, problems


class _Look(NamedTuple):
    """What is missing of which sample of a split, what cannot be read or heard; number opened."""

    missing: dict[int, Fault]
    broken: list[Fault]
    silent: list[str]
    opened: int


def _look(data, thorough: bool, title: str, progress: bool) -> _Look:
    missing, broken, silent, opened = {}, [], [], 0
    step = 1 if thorough else max(len(data) / OPENED, 1)
    chosen = {int(k * step) for k in range(len(data)) if k * step < len(data)}
    for i in tqdm(range(len(data)), desc=title, unit="sample", disable=not progress, leave=False):
        try:
            text = _absent(data, i, named=len(missing) < SHOWN)
            if text:
                missing[i] = Fault(data.ids[i], data.split, text)
            elif i in chosen:
                opened += 1
                clips = isinstance(data, Clips)
                data.whole(i) if clips else data.take(torch.tensor([i]))
                if clips and data.is_silent(i):
                    silent.append(f"{data.ids[i]} ({data.files(i)['audio']})")
        except FileNotFoundError as error:
            missing[i] = Fault(data.ids[i], data.split, str(error))
        except (OSError, ValueError) as error:
            broken.append(Fault(data.ids[i], data.split, str(error)))
    return _Look(missing, broken, silent, opened)


def _absent(data, index: int, named: bool) -> str:
    """The first file of a sample that is missing, or empty or a pointer; or nothing.

    Of one that will be `named` also what lies beside it, which takes a look around.
    """
    for path in _paths(data, index):
        try:
            info = path.stat()
        except OSError:
            return f"{path} is missing{beside(path) if named else ''}"
        size = info.st_size if stat.S_ISREG(info.st_mode) else SMALL
        text = what_stands_for(path, size)
        if text:
            return text
        if size < SMALL and damage_of(path):  # it is cut short, so that it need not be opened
            raise ValueError(refusal_of(path, "a file"))
    return ""


def _paths(data, index: int) -> Iterator[Path]:
    if isinstance(data, Clips):  # whose sources fail where a folder of frames is missing
        yield from data.files(index).values()
    yield from data.sources(index)


def _part(known: Known, splits: Mapping) -> int | None:
    """How many classes the lists hold, if they are some of the published ones and not all."""
    labels = {data.classes[i] for data in splits.values() for i in data.target.unique().tolist()}
    return len(labels) if labels and known.has_part(labels) else None


def _rows(known: Known, splits: Mapping, looks: Mapping[str, _Look]) -> Iterator[Row]:
    """All and every class, of the splits that are counted together."""
    for names in dict.fromkeys([*known.counts, *known.by_class]):
        if not all(split in splits for split in names):
            continue
        labels = known.by_class.get(names, {})
        total = known.counts[names] if names in known.counts else sum(labels.values())
        yield Row(names, "all", total, *_count(splits, looks, names))
        for number, label in enumerate(splits[names[0]].classes):
            wanted = labels.get("", labels.get(label.replace("_", " ")))
            yield Row(names, label, wanted, *_count(splits, looks, names, number))


def _count(
    splits: Mapping, looks: Mapping[str, _Look], names: Sequence[str], label: int | None = None
) -> tuple[int, int]:
    """How many samples of a class, or all, are listed, and how many of them lack nothing."""
    targets = [(n, *pair) for n in names for pair in enumerate(splits[n].target.tolist())]
    mine = [i in looks[n].missing for n, i, own in targets if label in (None, own)]
    return len(mine), mine.count(False)

"""Annotation lists: read them line by line, refuse what is wrong with file and line number."""

from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmlib.arguments import one_of
from mmlib.data.reading.damage import no_file, refusal_of, stub_of
from mmlib.data.reading.folders import NoList

SPLITS = ("train", "val", "test")
LONGEST_NAME = 200  # bytes; file systems take 255, and an ending has to fit


class WrongList(ValueError):
    """A list holds what it should not; `label` is the class that is not known, if that is it."""

    label: str = ""


class Line(NamedTuple):
    """A line of a list; `number` counts from 1. Its methods raise, or are, errors that name it."""

    path: Path
    number: int
    text: str

    def bad(self, expected: str, text: str | None = None) -> WrongList:
        """The error for this line, or for the part of it that is wrong, and what was expected."""
        text = self.text if text is None else text
        shown = text if len(text) <= 80 else text[:77] + "..."
        return WrongList(f"{self.path}:{self.number} is {shown!r}; expected {expected}")

    def safe_id(self, id: str, nested: bool = False) -> str:
        """`id`, if it names something below the data set's root; otherwise a `ValueError`.

        An id becomes part of a path: it must not be absolute, climb (`..`), hold control characters
        or backslashes, or be longer than a file name may be. `nested` allows folders, `class/clip`.
        """
        parts = id.split("/")
        wrong = (
            any(part in ("", ".", "..") or len(part.encode()) > LONGEST_NAME for part in parts)
            or (len(parts) > 1 and not nested)
            or "\\" in id
            or bool(PureWindowsPath(id).drive)
            or not id.isprintable()
        )
        if wrong:
            what = "a path below the root" if nested else "a plain file name"
            raise self.bad(f"{what} as id, without '..'", id)
        return id

    def known_label(self, label: str, classes: Sequence[str]) -> int:
        """Position of `label` in `classes`; otherwise a `ValueError`."""
        if label not in classes:
            shown = ", ".join(classes[:8])
            shown += f", ... ({len(classes)} in all)" if len(classes) > 8 else ""
            raise self._unknown(f"one of the classes {shown}", label)
        return classes.index(label)

    def whole_label(self, label: str, count: int) -> int:
        """A label written as a number, if it is in 0..count - 1; otherwise a `ValueError`."""
        if not (label.isascii() and label.isdigit()) or len(label) > 9 or int(label) >= count:
            raise self._unknown(f"a label in 0..{count - 1}", label)
        return int(label)

    def _unknown(self, expected: str, label: str) -> WrongList:
        error = self.bad(expected, label)
        error.label = label
        return error


class Entry(NamedTuple):
    """A sample: `target` is its class, `line` where it stands if it is of a list.

    `start` and `end` (seconds) say which part of a recording is meant; both 0: all of it.
    """

    id: str
    target: int
    line: Line | None = None
    start: float = 0.0
    end: float = 0.0


def read_lines(path: str | Path) -> list[Line]:
    """The lines of a UTF-8 text file, stripped; empty ones are left out but counted.

    A byte-order mark and Windows line ends are read as if they were not there. Raises
    `FileNotFoundError`, or `ValueError` for a file that is not UTF-8 or holds no line.
    """
    path = Path(path)
    if no_file(path):
        raise NoList(f"{path} {no_file(path)}; put the data set's list there")
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if stub_of(content):
        raise WrongList(refusal_of(path, "a list"))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise WrongList(f"{path}:{number} is not UTF-8 text; save the list as UTF-8") from error
    # not splitlines(), which also breaks at characters that may stand within a line
    texts = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [Line(path, number, t.strip()) for number, t in enumerate(texts, 1) if t.strip()]
    if not lines:
        raise WrongList(f"{path} is empty; expected one clip a line")
    return lines


def without_repeats(entries: Sequence[Entry], repeats: str = "error") -> list[Entry]:
    """One entry an id, in the order of the list.

    `repeats` says what happens to an id that comes again: `"error"` raises a `ValueError` that
    names both lines, `"first"` and `"last"` keep the label of that entry, at its first place.
    """
    one_of("repeats", repeats, ("error", "first", "last"))
    kept: dict[str, Entry] = {}
    for entry in entries:
        first = kept.setdefault(entry.id, entry)
        if first is entry:
            continue
        if repeats == "error":
            twice = f"it stands in line {first.line.number} already; remove one of them"
            raise entry.line.bad(f"each id once, and {twice}", entry.id)
        if repeats == "last":
            kept[entry.id] = entry
    return list(kept.values())


def carve(target: Tensor, share: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two index tensors, `(train, val)`, that deal out every class in the same shares.

    `target` is `(N,)` int64. Of n samples of a class, `round(share n)`, at least one and at most
    n - 1, go to validation; a class of one sample stays in training. Both come sorted. Raises
    `ValueError` for a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; give a number in (0, 1)")
    val = torch.zeros(len(target), dtype=torch.bool)
    for label in target.unique().tolist():
        rows = (target == label).nonzero().flatten()
        count = min(max(round(share * len(rows)), 1), len(rows) - 1)
        order = np.random.default_rng((seed, label)).permutation(len(rows))
        val[rows[torch.from_numpy(order[:count])]] = True
    return (~val).nonzero().flatten(), val.nonzero().flatten()


def carved(entries: list[Entry], split: str) -> list[Entry]:
    """The part of a training list that is for `split`, `"train"` or `"val"`."""
    parts = carve(torch.tensor([entry.target for entry in entries]))
    return [entries[i] for i in parts[SPLITS.index(split)].tolist()]

"""Samples that lack a file: told by a look at folders, and left out where that is asked for."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mmlib.data.reading.damage import damage_of
from mmlib.data.reading.near import PICTURES

MISSING = ("error", "drop")
SMALL = 1000  # bytes; only such a file is opened, for it may be a pointer to one


class Dropped(NamedTuple):
    """How many samples a split's lists hold, how many of them lack no file and are `kept`.

    `first` is what the first dropped one lacks, `emptied` are the classes of which none is left.
    """

    listed: int
    kept: int
    first: str = ""
    emptied: tuple[str, ...] = ()

    @property
    def dropped(self) -> int:
        """How many are left out."""
        return self.listed - self.kept

    def __str__(self) -> str:
        text = f"{self.kept:,} of {self.listed:,} samples kept, {self.dropped:,} dropped"
        text += f"; none is left of class {', '.join(self.emptied)}" if self.emptied else ""
        return f"{text}; the first: {self.first}" if self.first else text


class Folders:
    """What is in folders; each is listed once, and no file of usual size is opened."""

    def __init__(self):
        self._held: dict[Path, dict[str, os.DirEntry]] = {}

    def lacks(self, paths: Iterable[Path]) -> str:
        """What is wrong with the first bad one of a sample's files and folders, or nothing.

        A file is bad if it is missing, empty or a pointer or web page in its place; a folder, which
        is one of frames, if it is missing or holds no picture.
        """
        return next(filter(None, map(self._lack, paths)), "")

    def _lack(self, path: Path) -> str:
        entry = self._listed(path.parent).get(path.name)
        try:
            if entry is None:
                return f"{path} is missing"
            if entry.is_dir():
                return "" if _holds_picture(path) else f"{path} holds no frames"
            return what_stands_for(path, entry.stat().st_size)
        except OSError:  # a link to nothing
            return f"{path} is missing"

    def _listed(self, folder: Path) -> dict[str, os.DirEntry]:
        if folder not in self._held:
            try:
                with os.scandir(folder) as entries:
                    self._held[folder] = {entry.name: entry for entry in entries}
            except OSError:
                self._held[folder] = {}
        return self._held[folder]


def what_stands_for(path: Path, size: int) -> str:
    """What is in a file's place, if that is nothing, a pointer or a web page; else nothing.

    Files of usual size are not looked into; one that is cut short is no missing one.
    """
    damage = damage_of(path) if size < SMALL else ""
    return "" if not damage or damage.startswith("is cut short") else f"{path} {damage}"


def without_missing(
    entries: Sequence, needs: Callable[[NamedTuple], list[Path]], classes: Sequence[str], what: str
) -> tuple[list, Dropped]:
    """The entries of which all files are there that `needs` names, and the counts.

    Raises `FileNotFoundError` where none is left. `what` names the split.
    """
    folders = Folders()
    reasons = [folders.lacks(needs(entry)) for entry in entries]
    kept = [entry for entry, reason in zip(entries, reasons) if not reason]
    first = next(filter(None, reasons), "")
    if entries and not kept:
        raise FileNotFoundError(f"all {len(entries):,} samples of {what} lack a file: {first}")
    lost = sorted({entry.target for entry in entries} - {entry.target for entry in kept})
    return kept, Dropped(len(entries), len(kept), first, tuple(classes[i] for i in lost))


def _holds_picture(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(e.name.lower().endswith(PICTURES) and e.name[0] != "." for e in entries)

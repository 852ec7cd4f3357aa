"""What `check_data` found, and how it is printed."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmlib.data.reading.lists import SPLITS
from mmlib.data.tools.leaks import Leak
from mmlib.data.tools.table import Row, table
from mmlib.files import regular, write_text

SHOWN = 3  # missing or broken files that are named


class Fault(NamedTuple):
    """A sample that lacks a file or cannot be read, and why."""

    id: str
    split: str
    reason: str


class Report(NamedTuple):
    """What `check_data` found; `str(report)` is what the command prints.

    `classes` are how many there are and should be; `part` how many the lists hold, where these are
    a subset of the published ones; `problems` the errors that keep splits from being opened;
    `missing` and `broken` what is wrong with samples, in their order; `silent` are sounds of zeros
    alone, which is no fault: CREMA-D has one; `leaks` what two splits share. `opened` of `samples`
    were read. `kept` says, where some lack a file, how many `missing="drop"` keeps and how many are
    listed, by split; with `drop` they are no fault. With `strict`, counts that differ from the
    published ones are a fault.
    """

    name: str
    root: Path
    classes: tuple[int, int]
    part: int | None
    rows: tuple[Row, ...]
    problems: tuple[str, ...]
    missing: tuple[Fault, ...]
    broken: tuple[Fault, ...]
    silent: tuple[str, ...]
    leaks: tuple[Leak, ...]
    opened: int
    samples: int
    kept: Mapping[str, tuple[int, int]]
    drop: bool
    strict: bool
    advice: tuple[str, ...] = ()

    @property
    def as_published(self) -> bool:
        """Whether all counts are the published ones, where some are known."""
        found, published = self.classes
        known = any(row.published is not None for row in self.rows)
        whole = self.part is None and (found == published or not known)
        return whole and all(row.as_published for row in self.rows)

    @property
    def ok(self) -> bool:
        """Whether all is there, what was opened can be read, no split shares what it should not,
        and the counts are as published."""
        faults = self.problems or self.broken or any(leak.fault for leak in self.leaks)
        faults = faults or self.missing and not self.drop
        return not faults and (self.as_published or not self.strict)

    def __str__(self) -> str:
        found, published = self.classes
        lines = [f"{self.name} in {self.root}: {found} classes, {published} published"]
        lines += [*table(self.rows), *(f"Error: {problem}" for problem in self.problems)]
        lines += _named(self.missing, "lack a file")
        if self.kept and self.drop:
            lines.append(f"They are left out by missing=drop: {kept_text(self.kept)}")
        lines += _named(self.broken, "cannot be read")
        lines.append(f"Samples opened: {self.opened:,} of {self.samples:,}")
        lines += _silent(self.silent)
        lines += [f"{'Leak' if leak.fault else 'Note'}: {leak.text}" for leak in self.leaks]
        lines += _differences(self)
        lines += [_wrapped(f"To do: {text}") for text in self.advice]
        lines.append("All is well." if self.ok else "Not as it should be.")
        return "\n".join(lines)

    def write_faults(self, path: str | Path) -> str:
        """A line for each sample that lacks a file or cannot be read: id, split, which, why; tabs
        between them. Without such samples the file is empty. Returns a sentence that says so.

        Raises `FileExistsError` for a file that holds anything else, `ValueError` for no file."""
        path = regular(path)
        there = path.read_bytes().splitlines() if path.exists() else []
        if any(line.count(b"\t") != 3 for line in there):
            raise FileExistsError(f"{path} holds something else than such lines; give another path")
        named = [("missing", f) for f in self.missing] + [("broken", f) for f in self.broken]
        rows = ([f.id, f.split, which, " ".join(f.reason.split())] for which, f in named)
        write_text(path, "".join("\t".join(row) + "\n" for row in rows))
        opened = {split for row in self.rows for split in row.splits}
        without = "" if len(opened) == len(SPLITS) else "; not of splits that cannot be opened"
        return f"Missing and broken ids in {path}: {len(named):,}{without}"


def kept_text(kept: Mapping[str, tuple[int, int]]) -> str:
    """How many samples of each split are kept, of how many."""
    return ", ".join(f"{split} {here:,} of {listed:,}" for split, (here, listed) in kept.items())


def _wrapped(text: str) -> str:
    """In lines of 100, a command in one however long, so that it can be copied."""
    if "python -m" in text:
        return text
    unbroken = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(text, 100, subsequent_indent="  ", **unbroken)


def _named(faults: Sequence[Fault], what: str) -> list[str]:
    """How many there are, and the first of them."""
    if not faults:
        return []
    more = "" if len(faults) <= SHOWN else " (all: --write-missing FILE)"
    first = [f"  {fault.reason}" for fault in faults[:SHOWN]]
    return [f"Samples that {what}: {len(faults):,}; the first of them{more}:", *first]


def _silent(sounds: Sequence[str]) -> list[str]:
    if not sounds:
        return []
    what = "keep them, or take them out of the lists; the first of them"
    lines = [f"Note: silent sounds (zeros alone): {len(sounds):,}; {what}:"]
    return lines + [f"  silent: {text}" for text in sounds[:SHOWN]]


def _differences(report: Report) -> list[str]:
    """In what the lists are not the published ones, or that nobody knows."""
    excuse, lines = "" if report.strict else ", which is no fault in a sample", []
    if report.rows and all(row.published is None for row in report.rows) and not report.part:
        return ["Note: no counts are published for these lists or options."]
    if report.part:
        subset = f"{report.part} of {report.classes[1]} classes"
        lines.append(f"The lists hold a subset of the published classes, {subset}{excuse}.")
    if not all(row.as_published for row in report.rows):
        lines.append(f"Counts differ from the published ones (*){excuse}.")
    elif not report.as_published and not report.part:
        lines.append(f"The number of classes differs from the published one{excuse}.")
    return lines

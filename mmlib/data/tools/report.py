"""What `check_data` found, and how it is printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SHOWN = 3  # missing or broken files that are named


class Row(NamedTuple):
    """How many samples there are of some splits, of a class or of all.

    `published` is a number, the least and the most, or `None` where none is; `listed` is how many
    the lists hold, `whole` how many of these have all their files.
    """

    splits: tuple[str, ...]
    label: str
    published: int | tuple[int, int] | None
    listed: int
    whole: int

    @property
    def as_published(self) -> bool:
        """Whether the lists hold as many as they should."""
        if isinstance(self.published, tuple):
            return self.published[0] <= self.listed <= self.published[1]
        return self.published in (None, self.listed)


class Report(NamedTuple):
    """What `check_data` found; `str(report)` is what the command prints.

    `classes` are how many there are and should be; `problems` the errors that keep splits from
    being opened; `missing` and `broken` what is wrong with samples, in their order; `silent` are
    sounds of zeros alone, which is no fault: CREMA-D has one. `opened` of `samples` were read. With
    `strict`, counts that differ from the published ones are a fault.
    """

    name: str
    root: Path
    classes: tuple[int, int]
    rows: tuple[Row, ...]
    problems: tuple[str, ...]
    missing: tuple[str, ...]
    broken: tuple[str, ...]
    silent: tuple[str, ...]
    opened: int
    samples: int
    advice: tuple[str, ...]
    strict: bool

    @property
    def as_published(self) -> bool:
        """Whether all counts are the published ones."""
        found, published = self.classes
        return found == published and all(row.as_published for row in self.rows)

    @property
    def ok(self) -> bool:
        """Whether all is there, what was opened can be read, and the counts are as published."""
        faults = self.problems or self.missing or self.broken
        return not faults and (self.as_published or not self.strict)

    def __str__(self) -> str:
        found, published = self.classes
        lines = [f"{self.name} in {self.root}: {found} classes, {published} published"]
        lines += [*_table(self.rows), *(f"Error: {problem}" for problem in self.problems)]
        for texts, what in ((self.missing, "lack a file"), (self.broken, "cannot be read")):
            if texts:
                lines.append(f"Samples that {what}: {len(texts):,}; the first of them:")
                lines += [f"  {text}" for text in texts[:SHOWN]]
        lines.append(f"Samples opened: {self.opened:,} of {self.samples:,}")
        if self.silent:
            what = "keep them, or take them out of the lists; the first of them"
            lines.append(f"Note: silent sounds (zeros alone): {len(self.silent):,}; {what}:")
            lines += [f"  silent: {text}" for text in self.silent[:SHOWN]]
        if not self.as_published:
            strict = "" if self.strict else ", which is no fault in a sample"
            lines.append(f"Counts differ from the published ones (*){strict}.")
        lines += [f"To do: {text}" for text in self.advice]
        lines.append("All is well." if self.ok else "Not as it should be.")
        return "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    """A line for all and for each class; published, listed and whole of each group of splits."""
    groups = list(dict.fromkeys(row.splits for row in rows))
    labels = list(dict.fromkeys(row.label for row in rows))
    found = {(row.splits, row.label): row for row in rows}
    lines = [f"{'':22}" + "".join(f"{' + '.join(group):>24}" for group in groups)]
    lines.append(f"{'class':22}" + f"{'publ.':>8}{'listed':>8}{'whole':>8}" * len(groups))
    for label in labels:
        name = label if len(label) <= 22 else f"{label[:19]}..."
        cells = (_cells(found.get((group, label))) for group in groups)
        lines.append(f"{name:22}{''.join(cells)}".rstrip())
    return lines if rows else []


def _cells(row: Row | None) -> str:
    if row is None:
        return f"{'':24}"
    mark = "" if row.as_published else "*"
    if isinstance(row.published, tuple):
        published = "{}-{}".format(*row.published)
    else:
        published = "-" if row.published is None else f"{row.published:,}"
    return f"{published:>8}{f'{row.listed:,}{mark}':>8}{f'{row.whole:,}':>8}"

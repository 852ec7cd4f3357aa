"""How many samples a data set has and should have, class by class, as a table."""

from collections.abc import Sequence
from typing import NamedTuple


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


def table(rows: Sequence[Row]) -> list[str]:
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

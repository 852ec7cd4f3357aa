"""Pieces of the evidence pages' Markdown."""

from collections.abc import Collection

MADE = "<!-- written by `make results` from the tables; do not edit -->"


def text_of(*parts: str) -> str:
    """Paragraphs that say anything, an empty line between them, as a file."""
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def table_row(cells: list[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def interval_cell(interval: tuple[float, float, float] | None, bold: bool = True) -> str:
    """A mean difference with its interval, bold where that does not contain 0; empty for none."""
    if interval is None:
        return ""
    mean, low, high = interval
    text = f"{mean:+.1f} ({low:.1f} to {high:.1f})".replace("-0.0", "0.0")
    return f"**{text}**" if bold and (low > 0 or high < 0) else text


def by_chance(intervals: Collection[tuple[float, float, float]], verb: str = "shows") -> str:
    """How many of a page's intervals would miss 0 by chance, and how many do."""
    count, missing = len(intervals), sum(low > 0 or high < 0 for _, low, high in intervals)
    return (
        f"This page {verb} {count} different intervals. If no arm differed from another, about "
        f"{0.05 * count:.0f} of them (5 %) would still miss 0 by chance; {missing} do."
    )


def details(summary: str, text: str) -> str:
    """What is out of sight until a reader asks for it."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def say(options: dict) -> str:
    """Options as a reader writes them: `lr 0.2, alpha 0.3`."""
    return ", ".join(f"{name.replace('_', ' ')} {value_of(x)}" for name, x in options.items())


def value_of(x) -> str:
    """An option's value, without a decimal that says nothing."""
    if isinstance(x, dict):
        return " and ".join(f"{value_of(each)} for {name}" for name, each in x.items())
    if x is None:
        return "none"
    return f"{x:g}" if isinstance(x, int | float) else str(x)

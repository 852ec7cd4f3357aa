"""The form of a lesson's second edition: how long, how many tables, how much is the reader's."""

import re
from pathlib import Path
from statistics import median

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SECOND_EDITION = (
    "01_imbalance_phenomenon",
    "02_sample_valuation",
    "03_boosting",
    "04_detached_learning",
)
TURN = re.compile(r"^\*\*Your turn", re.M)
AT_MOST = {
    "cells": 60,
    "words": 2600,
    "lines": 420,
    "median": 8,
    "longest": 30,
    "asserts": 3,
    "tables": 2,
    "figures": 8,
}


def is_hidden(cell) -> bool:
    """Whether JupyterLab shows a bar in place of the source."""
    return cell.metadata.get("jupyter", {}).get("source_hidden", False)


def has(cell, kind: str) -> int:
    """How many outputs of this kind a cell has."""
    return sum(kind in output.get("data", {}) for output in cell.outputs)


def form(notebook) -> dict[str, float]:
    """What can be counted in a lesson; exercises count as words, not as code."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    built = [c for c in code if not c.id.startswith("exercise")]
    lines = [len([s for s in cell.source.splitlines() if s.strip()]) for cell in built]
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    seen = "\n".join(cell.source for cell in code if not is_hidden(cell))
    return {
        "cells": len(notebook.cells),
        "words": len(text.split()),
        "lines": sum(lines),
        "median": median(lines),
        "longest": max(lines),
        "turns": len(TURN.findall(text)),
        "ways": sum(is_hidden(c) and c.source.startswith("# One way to write it") for c in code),
        "predictions": len(re.findall(r"^\*\*Predict", text, re.M)),
        "asserts": len(re.findall(r"^\s*assert\b", seen, re.M)),
        "tables": sum(
            "<table" in "".join(output.get("data", {}).get("text/html", ""))
            for cell in code
            for output in cell.outputs
        ),
        "figures": sum(has(cell, "image/png") for cell in code),
    }


@pytest.mark.parametrize("lesson", SECOND_EDITION)
def test_a_lesson_keeps_its_form(lesson):
    counted = form(nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4))
    assert {k: counted[k] for k, limit in AT_MOST.items() if counted[k] > limit} == {}
    assert 3 <= counted["turns"] == counted["ways"] <= 5
    assert 2 <= counted["predictions"]


@pytest.mark.parametrize("lesson", SECOND_EDITION)
def test_below_a_turn_stands_one_way_to_write_it(lesson):
    """The text asks, the next cell has the signature, `...` and the check, then ours, hidden."""
    cells = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4).cells
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown" and TURN.search(cell.source):
            given, ours = cells[i + 1 : i + 3]
            assert "..." in given.source, cell.id
            assert is_hidden(ours) and ours.source.startswith("# One way to write it"), cell.id
            checks = re.findall(r"^exercises\.check_\w+\((\w+)\)$", given.source, re.M)
            assert checks == re.findall(r"^exercises\.check_\w+\((\w+)\)$", ours.source, re.M)
            assert checks and all(f"def {name}(" in ours.source for name in checks), cell.id


if __name__ == "__main__":  # the numbers of all lessons
    for path in sorted(NOTEBOOKS.glob("0*.ipynb")):
        print(path.stem, form(nbformat.read(path, as_version=4)))

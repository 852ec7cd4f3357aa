"""Decimal numbers in the lessons' text: a cell near each prints or sets it, or it is named here."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NEAR = 6  # cells before and after
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?!\w|\.\d)")
# what no cell of a lesson can print
OTHERS = {
    "03_boosting": {
        "85.2": "the paper's",
        "65.1": "the paper's",
        "72.9": "the paper's",
        "1.01": "the dead zone",
        "0.1": "the rate",
    },
    "06_cal_with_aib": {"0.9": "the memory", "0.75": "a step by hand"},
    "08_real_data": {
        "2.31": "an issue's",
        "0.38": "an issue's",
        "0.02": "two points, as a share",
    },
}


def shown(cell) -> set[float]:
    """Numbers in a code cell and its outputs, also as per cent."""
    if cell.cell_type != "code":
        return set()
    texts = [cell.source, *(output.get("text", "") for output in cell.outputs)]
    for output in cell.outputs:
        texts += [text for kind, text in output.get("data", {}).items() if kind[:4] == "text"]
    numbers = {float(x) for text in texts for x in re.findall(r"\d+(?:\.\d+)?", text)}
    return numbers | {100 * x for x in numbers}


def unprinted(notebook) -> set[str]:
    """Decimal numbers of the text that no cell near it prints, to the digits that the text has."""
    pools, missing = [shown(cell) for cell in notebook.cells], set()
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown" or cell.id in ("title", "claims-paper"):
            continue
        near = set().union(*pools[max(0, i - NEAR) : i + NEAR + 1])
        for text in DECIMAL.findall(re.sub(r"\]\([^)]*\)", "", cell.source)):
            half = 0.5 * 10 ** -len(text.split(".")[1]) + 1e-9
            if not any(abs(x - float(text)) <= half for x in near):
                missing.add(text)
    return missing


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("0*.ipynb")), ids=lambda path: path.stem)
def test_every_decimal_number_is_printed_near_it(path):
    notebook = nbformat.read(path, as_version=4)
    assert unprinted(notebook) == set(OTHERS.get(path.stem, {}))


def test_a_number_that_nothing_prints_is_found():
    cells = [
        nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("stream", text="x 0.853")]),
        nbformat.v4.new_markdown_cell("It is 0.85, or 85.3 %; not 0.86 [nor](link/1.23)."),
    ]
    assert unprinted(nbformat.v4.new_notebook(cells=cells)) == {"0.86"}

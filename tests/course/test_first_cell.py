"""The first cell of a lesson: anywhere, under any backend, and right after mmlib was installed."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("0*.ipynb"))
LESSONS = sorted((ROOT / "notebooks").glob("0*.ipynb"))


def code_of(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def search_for_mmlib(path):
    """What the first cell does before its first import of something that is to be installed."""
    return code_of(path)[0].partition("\n    )")[0] + "\n    )"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_cell_looks_for_files_beside_its_notebook(path):
    assert not [source for source in code_of(path) if "../" in source]


@pytest.mark.slow
def test_a_lesson_elsewhere_finds_its_tables_and_shows_figures(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")  # as clusters set it
    monkeypatch.delenv("PYTHONPATH", raising=False)
    setup = code_of(LESSONS[0])[0]
    show = "figure, axes = plt.subplots()\nplotting.show(figure, 'An empty frame.')"
    sources = [
        setup,
        "from mmlib.files import asset\n"
        "print(len(pd.read_csv(asset('results') / 'baselines.csv')) > 90)",
        show,
        "plt.plot([1, 2]);",
    ]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    options = ["--IPKernelApp.log_level=ERROR"]
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(
        notebook, kernel_name="python3", resources=place, extra_arguments=options
    ).execute()
    assert notebook.cells[1].outputs[0].text == "True\n"
    shown = notebook.cells[2].outputs[0]
    assert shown.data["image/png"]
    assert shown.metadata["image/png"] == {"alt": "An empty frame."}
    assert notebook.cells[3].outputs[0].data["image/png"]  # a reader's own figure, too


def test_all_lessons_search_for_mmlib_alike():
    assert len({search_for_mmlib(path) for path in LESSONS}) == 1


def test_mmlib_installed_after_the_kernel_started_is_found(tmp_path):
    # -S: an interpreter without site-packages, to which one is then added as pip does it
    code = f"""
import site
site.getsitepackages = lambda: [{str(tmp_path)!r}]
site.getusersitepackages = lambda: {str(tmp_path / "none")!r}
search = {search_for_mmlib(LESSONS[0])!r}
try:
    exec(search)
except ModuleNotFoundError as error:
    print(error)
with open({str(tmp_path / "_mmlib.pth")!r}, "w") as file:
    file.write({str(ROOT)!r})
exec(search)
import mmlib
print(mmlib.__file__)
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "mmlib is not installed: run `pip install -e .` in the repository's folder, or start with "
        "`make lab`",
        str(ROOT / "mmlib/__init__.py"),
    ], done.stderr

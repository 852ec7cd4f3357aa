"""What the repository promises about itself: pins that agree, clean texts, executed notebooks."""

import json
import re
import subprocess
from pathlib import Path

import nbformat
import pytest

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
NOTEBOOKS = [*sorted(ROOT.glob("notebooks/*.ipynb")), *sorted(ROOT.glob("notebooks/*/*.ipynb"))]
TRIO = ("torch", "torchvision", "torchaudio")
CONDA_SOUND = {"soundfile": "pysoundfile", "soxr": "soxr-python"}
CONDA_NAMES = {
    "environment.yml": {"torch": "pytorch", **CONDA_SOUND},
    "binder/environment.yml": {"torch": "pytorch-cpu", **CONDA_SOUND},
}
# Put together here, so that this file does not hold what it looks for.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("conda", "anaconda", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
    )
]
HOME = re.compile(r"(?<![\w.])/(?:home|Users|root)/[\w.]")


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def direct_pins():
    """{name: version or None} of the dependencies in pyproject.toml."""
    pairs = (requirement.partition("==") for requirement in project()["dependencies"])
    return {name: version or None for name, _, version in pairs}


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    odd = [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]
    assert not odd, f"constraints.txt holds name==version and nothing else: {odd}"
    return dict(line.lower().replace("_", "-").split("==") for line in lines)


def conda_pins(file):
    """{name: version or None} of the packages that an environment.yml asks conda for."""
    lines = (ROOT / file).read_text().partition("dependencies:\n")[2].splitlines()
    pairs = (line.removeprefix("  - ").partition("=") for line in lines)
    return {name: version or None for name, _, version in pairs}


def test_constraints_freeze_every_direct_dependency():
    extras = [name for names in project()["optional-dependencies"].values() for name in names]
    assert {*direct_pins(), *extras} <= set(constraints())


@pytest.mark.parametrize("name", TRIO)
def test_trio_is_pinned_alike_everywhere(name):
    version = direct_pins()[name]
    assert version
    assert constraints()[name] == version
    for file, conda_names in CONDA_NAMES.items():
        assert conda_pins(file)[conda_names.get(name, name)] == version, file


@pytest.mark.parametrize("file", CONDA_NAMES)
def test_conda_brings_every_dependency(file):
    # mmlib is installed over it without its dependencies.
    wanted = {CONDA_NAMES[file].get(name, name) for name in direct_pins()}
    assert wanted <= set(conda_pins(file))


def test_python_range_is_one():
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project()["requires-python"]).groups()
    for file in CONDA_NAMES:
        assert int(low) <= int(conda_pins(file)["python"].split(".")[1]) < int(high), file
    supported = [f"python3.{minor}" for minor in range(int(low), int(high))]
    in_set_up = re.findall(r"python3\.\d+", (ROOT / ".ci/set-up").read_text().partition("fi\n")[0])
    assert sorted(set(in_set_up)) == supported


def text_files():
    """Every text file of the repository, committed or about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # binary, or deleted and not yet committed
            continue


def test_no_file_names_a_registry_host_or_a_path_of_one_machine():
    found = []
    for name, text in text_files():
        found += [f"{name}: {host}" for host in HOSTS if host in text]
        found += [f"{name}: {place.group()}" for place in HOME.finditer(text)]
        found += [f"{name}: {ROOT}"] if f"{ROOT}/" in text else []
    assert not found


def markdown_complaints(text, folder):
    """Images without alt text, and relative links that lead nowhere."""
    found = [f"image without alt text: {image}" for image in re.findall(r"!\[\s*\]\(.*?\)", text)]
    for image in re.findall(r"<img\b[^>]*>", text):
        if not re.search(r"""\balt=["'][^"']""", image):
            found.append(f"image without alt text: {image}")
    links = re.findall(r"\]\(([^)\s]+)", text)
    links += re.findall(r"""\b(?:src|href)=["']([^"']+)""", text)
    for link in links:
        target = link.partition("#")[0]
        is_elsewhere = re.match(r"[a-z]+:", target)
        if target and not is_elsewhere and not (folder / target).exists():
            found.append(f"link to a missing file: {link}")
    return found


def output_complaints(output, tags):
    """What a reader should not meet in an output, or would miss."""
    if output.output_type == "error" and "raises-exception" not in tags:
        return [f"an error: {output.ename}"]
    if output.get("name") == "stderr":
        return [f"words on stderr: {output.text.strip()}"]
    data, metadata = output.get("data", {}), output.get("metadata", {})
    found = [
        f"{kind} without alt text"
        for kind in data
        if kind.startswith("image/") and not metadata.get(kind, {}).get("alt")
    ]
    found += ["an SVG, which embeds a date"] if "image/svg+xml" in data else []
    found += ["a live widget"] if "application/vnd.jupyter.widget-view+json" in data else []
    return found


def notebook_complaints(path):
    """All that keeps a notebook from being committed; `make run` mends most of it."""
    # Not nbformat.read, which mends the ids.
    notebook = nbformat.v4.reads(path.read_text(encoding="utf-8"))
    ids = [cell.get("id") for cell in notebook.cells]
    found = []
    if None in ids or len(set(ids)) < len(ids):
        found.append("cells without an id, or two with the same")
    if path.stat().st_size > 600_000:
        found.append(f"{path.stat().st_size / 1000:.0f} KB, the limit is 600")
    if "widgets" in notebook.metadata:
        found.append("the state of widgets in its metadata")
    counts = []
    for number, cell in enumerate(notebook.cells):
        where = f"cell {number}"
        if "execution" in cell.metadata:
            found.append(f"{where}: times of execution in its metadata")
        if cell.cell_type == "markdown":
            found += [f"{where}: {c}" for c in markdown_complaints(cell.source, path.parent)]
        if cell.cell_type != "code":
            continue
        if cell.source.strip():
            counts.append(cell.execution_count)
        if len(cell.source.splitlines()) > 40:
            found.append(f"{where}: more than 40 lines of code")
        for output in cell.outputs:
            tags = cell.metadata.get("tags", [])
            found += [f"{where}: {c}" for c in output_complaints(output, tags)]
    if counts != list(range(1, len(counts) + 1)):
        found.append(f"not executed from top to bottom in a fresh kernel: {counts}")
    return found


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_notebook_is_fit_to_be_committed(path):
    assert notebook_complaints(path) == []


@pytest.mark.parametrize("name", ["README.md", "LICENSE-text.md"])
def test_page_has_alt_texts_and_working_links(name):
    assert markdown_complaints((ROOT / name).read_text(encoding="utf-8"), ROOT) == []


@pytest.mark.parametrize("lesson", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda p: p.stem)
def test_lesson_links_its_solutions(lesson):
    assert "](solutions/" in lesson.read_text(encoding="utf-8")


def test_a_bad_notebook_is_refused(tmp_path):
    new = nbformat.v4
    stderr = new.new_output("stream", name="stderr", text="Warning: old")
    figure = new.new_output("display_data", {"image/png": "", "image/svg+xml": ""})
    widget = new.new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})
    error = new.new_output("error", ename="KeyError", evalue="", traceback=[])
    cells = [
        new.new_markdown_cell("![ ](a.png) <img src='b.png'> [solution](solutions/none.ipynb)"),
        new.new_code_cell("1", execution_count=2, outputs=[stderr, figure]),
        new.new_code_cell("2", outputs=[error, widget]),
        new.new_code_cell("3\n" * 41, execution_count=3, metadata={"execution": {}}),
        new.new_raw_cell("x" * 600_000),
    ]
    path = tmp_path / "bad.ipynb"
    notebook = new.new_notebook(cells=cells, metadata={"widgets": {}})
    notebook.cells[2].id = notebook.cells[1].id
    path.write_text(json.dumps(notebook), encoding="utf-8")
    found = "\n".join(notebook_complaints(path))
    for complaint in (
        "two with the same",
        "the limit is 600",
        "the state of widgets",
        "cell 0: image without alt text: ![ ](a.png)",
        "cell 0: image without alt text: <img src='b.png'>",
        "cell 0: link to a missing file: a.png",
        "cell 0: link to a missing file: b.png",
        "cell 0: link to a missing file: solutions/none.ipynb",
        "cell 1: words on stderr: Warning: old",
        "cell 1: image/png without alt text",
        "cell 1: an SVG",
        "cell 2: an error: KeyError",
        "cell 2: a live widget",
        "cell 3: times of execution",
        "cell 3: more than 40 lines",
        "in a fresh kernel: [2, None, 3]",
    ):
        assert complaint in found

"""Imports run one way: which room of the house may import which, and no circles between files.

An import within a function counts like any other.
"""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

MMLIB = Path(__file__).parents[1] / "mmlib"
# What the loop is made of; the other files directly in mmlib are the ground floor.
TRAINING = ("training", "checkpoints")
# room -> what it may import besides itself
MAY_IMPORT = {
    "ground floor": (),
    "training": ("ground floor",),
    "data": ("ground floor",),  # data and training do not know each other
    "methods": ("ground floor", "training"),
    # these three stand on top and do not know each other
    "exercises": ("ground floor", "training", "data", "methods"),
    "evidence": ("ground floor", "training", "data", "methods"),
    "commands": ("ground floor", "training", "data", "methods"),
    "__main__": (
        *("ground floor", "training", "data", "methods"),
        *("exercises", "evidence", "commands"),
    ),
}


def sources():
    """`{module: text}` of all of mmlib, such as `"mmlib.data.reading.lists"`."""
    found = {}
    for path in MMLIB.rglob("*.py"):
        parts = path.relative_to(MMLIB.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


def room(module):
    """The room that a module is in."""
    first = module.split(".")[1] if "." in module else ""
    if first in TRAINING:
        return "training"
    return first if first in MAY_IMPORT else "ground floor"


@cache
def imported(text):
    """What a text imports, wherever in it: pairs of a module and a name in it, or none."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "mmlib imports by full names"
            found += [(node.module, alias.name) for alias in node.names]
    return found


def imports(text, modules):
    """The modules of mmlib that a text imports."""
    found = {f"{m}.{n}" if f"{m}.{n}" in modules else m for m, n in imported(text)}
    return found & modules.keys()


def forbidden(modules):
    """Every import that goes against the table, as a sentence."""
    return [
        f"{module} imports {other}: {room(module)} must not know {room(other)}"
        for module, text in sorted(modules.items())
        for other in sorted(imports(text, modules))
        if room(other) not in (room(module), *MAY_IMPORT[room(module)])
    ]


def circle(modules):
    """The modules of a circle, the first of them again at the end; none where there is none."""
    try:
        TopologicalSorter({m: imports(text, modules) for m, text in modules.items()}).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_imports_run_one_way():
    assert forbidden(sources()) == []


def test_there_is_no_circle():
    assert circle(sources()) == []


@pytest.mark.parametrize("room_", MAY_IMPORT)
def test_every_room_has_files(room_):
    assert room_ in {room(module) for module in sources()}


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("mmlib.data.text", "def f():\n    from mmlib.training import fit"),
        ("mmlib.training", "import mmlib.data.text"),
        ("mmlib.methods.gap", "from mmlib.data import AVDigits"),
        ("mmlib.commands.train", "from mmlib.evidence import runs"),
        ("mmlib.exercises", "from mmlib.commands import presets"),
        ("mmlib.batches", "from mmlib.checkpoints import save_checkpoint"),
    ],
)
def test_a_forbidden_import_is_found(module, line):
    planted = sources()
    planted[module] += f"\n{line}\n"
    assert len(forbidden(planted)) == 1 and forbidden(planted)[0].startswith(f"{module} imports")


def test_a_circle_is_found():
    late = "def f():\n    from mmlib import two"
    planted = {"mmlib.one": late, "mmlib.two": "import mmlib.one", "mmlib.three": late}
    assert set(circle(planted)) == {"mmlib.one", "mmlib.two"}

"""The README's example runs as it stands and shows what it promises."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmlib import fusion
from mmlib.__main__ import parser
from mmlib.methods import METHODS, cal, gap, make_method

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_runs(tmp_path, monkeypatch, capsys):
    code, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(re.findall(r"^(?!from|$)", code, re.MULTILINE)) <= 10
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(compile(code, "README.md", "exec"), scope)
    fused, probes = capsys.readouterr().out.splitlines()
    assert float(fused) > 0.75
    assert probes.startswith("{'audio'")
    assert (tmp_path / "run/checkpoint.pt").is_file()


@pytest.mark.slow
def test_the_example_prints_the_same_again(tmp_path, monkeypatch, capsys):
    """Here and in a fresh process, for an epoch of few samples."""
    code, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    short = code.replace("epochs=15", "epochs=1").replace('("train")', '("train", size=320)')
    assert short.count("epochs=1,") + short.count("epochs=1)") == 2 and short.count("size=") == 2
    for name in ("here", "fresh"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    exec(compile(short, "README.md", "exec"), {})
    here = capsys.readouterr().out
    place = {"cwd": tmp_path / "fresh", "env": os.environ | {"OMP_NUM_THREADS": "1"}}
    fresh = subprocess.run([sys.executable, "-c", short], capture_output=True, text=True, **place)
    assert fresh.returncode == 0, fresh.stderr
    assert fresh.stdout == here and here.count("\n") == 2


def test_a_pytorch_data_set_takes_the_place_of_the_examples(tmp_path, monkeypatch, capsys):
    """What the example prints with the data in memory, it prints with the same data by items."""
    (wrap,) = re.findall(r"```py\n(.*?)```", README, re.DOTALL)
    code, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    code = code.replace("epochs=15", "epochs=1").replace('("train")', '("train", size=320)')
    code = code.replace('("val")', '("val", size=64)')
    their = "from toys import Pairs\ntheir_train, their_val = Pairs(train), Pairs(val)\n"
    said = []
    for more in ("", their + wrap):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "run/checkpoint.pt").unlink(missing_ok=True)
        both = code.replace("with seeded(0)", f"{more}with seeded(0)")
        exec(compile(both, "README.md", "exec"), {})
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] and said[0].count("\n") == 2


def test_methods_named_in_the_readme_are_those_that_exist():
    (line,) = re.findall(r"Methods so far: (.*)", README)
    assert set(re.findall(r"`([\w-]+)`", line)) == set(METHODS)


def test_where_gap_and_cal_are_listed_stands_that_they_are_a_reading(capsys):
    (line,) = re.findall(r"Methods so far: (.*)", README)
    assert "in our reading of their papers' abstracts, `gap` and `cal`" in line
    for lesson in ("05_gmm_gap_loss", "06_cal_with_aib"):
        (row,) = re.findall(rf"^\|.*notebooks/{lesson}\.ipynb.*$", README, re.MULTILINE)
        assert "our reading" in row and "(abstract)" in row
    assert "| **GMM gap loss (our reading)** |" in README
    assert "| **CAL with AIB (our reading)** |" in README
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "gap and cal are our reading of their papers' abstracts" in said


def public(module):
    for name, found in vars(module).items():
        own = getattr(found, "__module__", None) == module.__name__
        if own and not name.startswith("_") and (inspect.isclass(found) or callable(found)):
            yield pytest.param(found, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize(
    "thing", [*public(cal), *public(gap), cal, gap, fusion.BottleneckFusion, make_method]
)
def test_what_is_our_reading_says_so(thing):
    """The papers of `gap` and `cal` were open to us as their abstracts only."""
    assert "our reading" in " ".join(inspect.getdoc(thing).split()).lower()


def test_what_is_said_of_a_gpu_is_what_was_measured():
    parts = json.loads((ROOT / "assets/results/gpu.json").read_text("utf-8"))["parts"]
    rows = {name: part["rows"] for name, part in parts.items()}
    (text,) = re.findall(r"On one H200.*", README)
    speed = {name: row["steps/s"] for name, row in rows["timing"].items() if "steps/s" in str(row)}
    kinds = ("float32", "bfloat16", "compiled")
    ours = [speed[f"ours, {kind}"] for kind in kinds]
    bare = [speed[f"pure, {kind}"] for kind in kinds]
    loading = [x / speed["released, per item"] for x in ours]
    said = [float(x) for x in re.findall(r"(?<![\w.-])\d+\.\d+(?:e-\d+)?", text)]
    worst = max(x["float32"] for x in rows["agreement"].values())
    runs = [rows["seeds"][f"{place}, 16 at once"]["seeds a minute"] for place in ("cuda", "cpu")]
    assert said == [float(f"{worst:.1e}")] + [
        *(round(x, 1) for x in ours),
        *(round(x / y, 2) for x, y in zip(ours, bare)),
        *(round(x, 1) for x in (*loading, *bare)),
    ]
    assert f"the {rows['tests']['passed']} tests pass" in text
    assert [f"{x:.0f}" for x in runs] == re.findall(r"(\d+) (?:runs|on its)", text)

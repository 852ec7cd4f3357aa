"""The README's example runs as it stands and shows what it promises."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(re.findall(r"^(?!from|$)", code, re.MULTILINE)) <= 10
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(compile(code, "README.md", "exec"), scope)
    fused, probes = capsys.readouterr().out.splitlines()
    assert float(fused) > 0.75
    assert probes.startswith("{'audio'")
    assert (tmp_path / "run/checkpoint.pt").is_file()


def test_methods_named_in_the_readme_are_those_that_exist():
    from mmlib.methods import METHODS

    (line,) = re.findall(r"Methods so far: (.*)", README)
    assert set(re.findall(r"`([\w-]+)`", line)) == set(METHODS)

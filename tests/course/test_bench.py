"""`make bench` as the Makefile starts it: tests/ is all that its script can import from."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmlib.data.tools.samples import write_sample

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
def test_loaders_are_measured_side_by_side(tmp_path):
    tree = write_sample("cremad", tmp_path / "cremad", clips_per_class=2)
    code = "import bench, pathlib, sys; print(*bench.loading_speeds(pathlib.Path(sys.argv[1]), 1))"
    command = [sys.executable, "-c", code, tree]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    own, cold, warm = eval(done.stdout)
    assert min(own, cold, warm) > 0 and warm > cold

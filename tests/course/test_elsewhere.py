"""The emulated machines: a perturbed layer differs by a millionth, alike layers stay alike."""

import os
import platform
import runpy
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

import elsewhere

pytestmark = pytest.mark.slow
START = Path(__file__).parents[1] / "support" / "perturbed_start.py"


def first_layers(perturbed, monkeypatch):
    """Of two first layers of one seed and of a second layer, their weights squared and added."""

    def squares(channels):
        torch.manual_seed(0)
        return nn.Conv2d(channels, 2, 3).weight.double().square().sum().item()

    with monkeypatch.context() as patch:
        patch.setenv("PERTURBED", perturbed)
        patch.setattr(_ConvNd, "reset_parameters", _ConvNd.reset_parameters)  # so it is put back
        runpy.run_path(str(START))
        return [squares(channels) for channels in (1, 1, 16)]


def test_perturbed_first_layers_differ_by_a_millionth_and_no_others(monkeypatch):
    plain, one, two = (first_layers(seed, monkeypatch) for seed in ("", "1", "2"))
    assert plain[0] == plain[1] and one[0] == one[1] and two[0] == two[1]
    assert len({plain[0], one[0], two[0]}) == 3
    assert abs(one[0] / plain[0] - 1) < 5e-6
    assert plain[2] == one[2] == two[2]


def test_six_settings():
    assert len({setting.name for setting in elsewhere.SETTINGS}) == 6
    isa = {setting.onednn for setting in elsewhere.SETTINGS} - {None}
    assert isa == {"SSE41", "AVX2", "AVX512_CORE"}
    assert {setting.threads for setting in elsewhere.SETTINGS} == {1, 2}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="no x86 processor")
def test_the_one_of_ci_is_not_this_machines():
    environment = os.environ | elsewhere.not_our_own().environment()
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    there = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    assert there.strip() != torch.backends.cpu.get_cpu_capability()


def test_a_failed_cell_fails_the_run(tmp_path):
    cell = nbformat.v4.new_code_cell("assert False, 'only here'")
    path = tmp_path / "wrong.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), path)
    done = elsewhere.run(elsewhere.SETTINGS[0], [str(path)])
    assert done.returncode == 1 and "only here" in done.stdout

"""The emulated machines: a perturbed layer differs by a millionth, alike layers stay alike."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import elsewhere

pytestmark = pytest.mark.slow
SUPPORT = Path(__file__).parents[1] / "support"


def first_layers(**environment):
    """Of two first layers of one seed and of a second layer, their weights squared and added."""
    code = (
        "import torch, perturbed_start\n"
        "def layer(channels):\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Conv2d(channels, 2, 3).weight.double()\n"
        "for x in (layer(1), layer(1), layer(16)): print(x.square().sum().item().hex())"
    )
    command = [sys.executable, "-c", code]
    said = subprocess.check_output(command, text=True, cwd=SUPPORT, env=os.environ | environment)
    return [float.fromhex(word) for word in said.split()]


def test_perturbed_first_layers_differ_by_a_millionth_and_no_others():
    plain = first_layers(PERTURBED="")
    one, two = first_layers(PERTURBED="1"), first_layers(PERTURBED="2")
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
    environment = elsewhere.not_our_own().environment()
    said = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    capability = [
        subprocess.check_output([sys.executable, "-c", said], text=True, env=os.environ | more)
        for more in ({}, environment)
    ]
    assert capability[0] != capability[1]


def test_a_failed_cell_fails_the_run(tmp_path):
    cell = nbformat.v4.new_code_cell("assert False, 'only here'")
    path = tmp_path / "wrong.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), path)
    done = elsewhere.run(elsewhere.SETTINGS[0], [str(path)])
    assert done.returncode == 1 and "only here" in done.stdout

"""The GPU check as far as a machine without a GPU can tell: its driver and what it compares."""

import json

import pytest
import torch

import gpu_agreement
import gpu_check
import gpu_timing
from mmlib.data import AVDigits


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_without_cuda_every_part_says_so(tmp_path, capsys):
    assert gpu_check.main(["--out", str(tmp_path)]) == 2
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert parts == {name: {"faults": ["no CUDA"]} for name in gpu_check.PARTS}
    assert "nothing was proven" in capsys.readouterr().out


# A part's process without PyTorch, whose import would take most of the time
DRIVER = """
import sys
from types import SimpleNamespace
sys.modules |= {{"torch": SimpleNamespace(), "mmlib.devices": SimpleNamespace(usable_cores=None)}}
import gpu_check
gpu_check.PARTS = {}
sys.exit(gpu_check.main())
"""


@pytest.mark.slow
def test_a_part_that_fails_or_hangs_is_told_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    bodies = {
        "gpu_good": "yield 'sum', 2, None",
        "gpu_wrong": "yield 'sum', 3, 'is not 2'\n    raise OSError('gone')",
        "gpu_slow": "yield 'sum', 2, None\n    import time; time.sleep(60)",
    }
    for name, body in bodies.items():
        (tmp_path / f"{name}.py").write_text(f"def rows(device, quick):\n    {body}\n")
    parts = {name: (name, 20 if name != "gpu_slow" else 3) for name in bodies}
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER.format(parts))
    for name, value in {"__file__": driver, "PROOFS": parts, "PARTS": parts}.items():
        monkeypatch.setattr(gpu_check, name, value)
    monkeypatch.setattr(gpu_check, "MEASUREMENTS", {})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert gpu_check.main(["--device", "cpu", "--out", str(tmp_path)]) == 1
    found = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert found["gpu_good"]["faults"] == [] and found["gpu_good"]["rows"] == {"sum": 2}
    assert found["gpu_wrong"]["faults"] == ["sum: is not 2", "OSError: gone"]
    assert (
        found["gpu_slow"]["rows"] == {"sum": 2} and "not through" in found["gpu_slow"]["faults"][0]
    )


def test_methods_that_draw_agree_and_another_formula_does_not(monkeypatch):
    """Another place to compute is stood in for by noise of a rounding's size, or of a formula's."""
    data = AVDigits("train", size=40)
    plain = gpu_agreement.losses

    def elsewhere(by):
        def losses(name, data, device, dtype, lr, size):
            found = plain(name, data, "cpu", dtype, lr, size)
            return found * (1 + by * (device == "elsewhere"))

        return losses

    monkeypatch.setattr(gpu_agreement, "STEPS", 5)
    for by, fault in ((1e-12, None), (1e-6, "the losses differ in float64")):
        monkeypatch.setattr(gpu_agreement, "losses", elsewhere(by))
        assert gpu_agreement.compared("cal", data, "elsewhere", 8)[1] == fault
    assert gpu_agreement.fault_of({"float64": float("nan")}, False)


def test_draws_do_not_depend_on_the_layout_or_the_device():
    generator = torch.Generator().manual_seed(3)
    with gpu_agreement.drawn_on_the_cpu():
        x = torch.empty(2, 3, 4, 5).to(memory_format=torch.channels_last)
        x.normal_(generator=generator)
        more = torch.rand(4, generator=generator, device="cpu")
    again = torch.Generator().manual_seed(3)
    assert torch.equal(x, torch.empty(2, 3, 4, 5).normal_(generator=again))
    assert torch.equal(more, torch.rand(4, generator=again))


def test_goals_are_judged_on_the_rows():
    rates = {"float32": (9, 10), "bfloat16": (15, 20), "compiled": (29, 30)}
    found = {f"ours, {kind}": {"steps/s": own} for kind, (own, _) in rates.items()}
    found |= {f"pure, {kind}": {"steps/s": most} for kind, (_, most) in rates.items()}
    found |= {"released, per item": {"steps/s": 8.0}, "loader alone": {"steps/s": 31.0}}
    faults = {name: fault for name, _, fault in gpu_timing.goals(found, quick=False)}
    assert [name for name, fault in faults.items() if fault] == ["ours of pure, bfloat16"]
    del found["released, per item"]  # a row that failed
    faults = {name: fault for name, _, fault in gpu_timing.goals(found, quick=False)}
    assert faults["ours, best, over released per item"] == "nan is under 3"

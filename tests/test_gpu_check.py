"""The GPU check as far as a machine without a GPU can tell: its driver and what it compares."""

import json
import subprocess
import sys

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


def test_a_part_that_fails_or_hangs_is_told_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    bodies = {
        "gpu_good": "yield 'sum', 2, None",
        "gpu_wrong": "yield 'sum', 3, 'is not 2'\n    raise OSError('gone')",
        "gpu_slow": "yield 'sum', 2, None\n    import time; time.sleep(60)",
    }
    for name, body in bodies.items():
        (tmp_path / f"{name}.py").write_text(f"def rows(device, quick):\n    {body}\n")
    driver = tmp_path / "driver.py"
    parts = {name: (name, 20 if name != "gpu_slow" else 8) for name in bodies}
    driver.write_text(
        f"import gpu_check, sys\ngpu_check.__file__ = __file__\ngpu_check.PROOFS = {parts}\n"
        "gpu_check.MEASUREMENTS, gpu_check.PARTS = {}, gpu_check.PROOFS\n"
        "sys.exit(gpu_check.main())\n"
    )
    places = [tmp_path, gpu_check.ROOT / "tests", gpu_check.ROOT]
    monkeypatch.setenv("PYTHONPATH", ":".join(map(str, places)))
    words = [sys.executable, str(driver), "--device", "cpu", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
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

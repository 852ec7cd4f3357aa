"""Prove the library on a GPU and measure it there; at most eight minutes.

    python tests/gpu_check.py [--out DIR] [--device cpu] [--quick] [--part NAME ...]

It needs PyTorch and what `mmlib` imports, no installation and no network. Each part is a process of
its own with a limit of seconds, and the others go on where one fails. `DIR/gpu.json` and
`DIR/gpu.log` are written after every part. `--device cpu --quick` walks the same paths on a machine
without a GPU and proves nothing. Exit status: 0 all parts hold, 1 one does not, 2 there is no CUDA.
"""

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import torch

from mmlib.devices import usable_cores

ROOT = Path(__file__).parents[1]
LIMIT = 480  # seconds of all parts together
# part -> its module in tests/support, seconds; first those that may stand side by side on a card
PROOFS = {
    "tests": ("gpu_tests", 150),
    "agreement": ("gpu_agreement", 150),
    "resume": ("gpu_runs", 150),
    "torchrun": ("gpu_torchrun", 150),
}
MEASUREMENTS = {"timing": ("gpu_timing", 300), "seeds": ("gpu_seeds", 110)}
PARTS = PROOFS | MEASUREMENTS


def main(words: list[str] | None = None) -> int:
    """Run the parts, write what they found, print a table; return the exit status."""
    options = arguments().parse_args(words)
    if options.child:
        return child(options)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gpu.log").write_text("", encoding="utf-8")
    report = machine(options) | {"parts": {}}
    if options.device == "cuda" and not torch.cuda.is_available():
        report["parts"] = {name: {"faults": ["no CUDA"]} for name in options.part}
        save(report, options.out)
        print(table(report), "\nno CUDA on this machine: nothing was proven", sep="")
        return 2
    run_parts(options, report)
    print(table(report))
    return int(any(part["faults"] for part in report["parts"].values()))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "mmlib-gpu")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, which tell no speed")
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser


def machine(options: argparse.Namespace) -> dict:
    """What the numbers were made on and with."""
    found = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "quick": options.quick,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "cores": usable_cores(),
        "device": options.device,
    }
    if options.device == "cuda" and torch.cuda.is_available():
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv"]
        try:
            found["card"] = subprocess.check_output(query, text=True, timeout=20).splitlines()[1]
        except (OSError, subprocess.SubprocessError, IndexError):
            found["card"] = torch.cuda.get_device_name()
        found["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))
    return found


def run_parts(options: argparse.Namespace, report: dict) -> None:
    """Fill `report`: the proofs side by side on a GPU, then each measurement alone."""
    until = time.monotonic() + LIMIT

    def run(name: str) -> None:
        limit = min(PARTS[name][1], until - time.monotonic())
        report["parts"][name] = part(name, limit, options)
        save(report, options.out)
        print(f"{name}: {report['parts'][name]['faults'] or 'holds'}", flush=True)

    with ThreadPoolExecutor(len(PROOFS) if options.device == "cuda" else 1) as pool:
        list(pool.map(run, [name for name in PROOFS if name in options.part]))
    for name in MEASUREMENTS:
        if name in options.part:
            run(name)


def part(name: str, limit: float, options: argparse.Namespace) -> dict:
    """What a part found, in a process of its own that is killed at its limit."""
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "part.json", Path(folder) / "part.log"
        command = [sys.executable, __file__, "--child", path, "--part", name]
        command += ["--device", options.device, *(["--quick"] if options.quick else [])]
        places = [ROOT, ROOT / "tests", ROOT / "tests/support", os.environ.get("PYTHONPATH", "")]
        own = {"PYTHONPATH": os.pathsep.join(map(str, places)).strip(os.pathsep)}
        own |= {"TMPDIR": folder}
        own |= {"PYTHONUNBUFFERED": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
        started = time.monotonic()
        with open(log, "w", encoding="utf-8") as file:
            words = {"cwd": ROOT, "env": os.environ | own, "start_new_session": True}
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **words)
            try:
                process.wait(max(limit, 1))
                fault = f"exit status {process.returncode}" if process.returncode else None
            except subprocess.TimeoutExpired:
                fault = f"not through in {limit:.0f} s"
            kill_group(process)
        found = json.loads(path.read_text()) if path.exists() else {"rows": {}, "faults": []}
        found["seconds"] = round(time.monotonic() - started, 1)
        found["faults"] += [fault] if fault else []
        with open(options.out / "gpu.log", "a", encoding="utf-8") as file:
            file.write(f"\n== {name}\n{log.read_text(encoding='utf-8', errors='replace')}")
    return found


def kill_group(process: subprocess.Popen) -> None:
    """End a part and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def child(options: argparse.Namespace) -> int:
    """Run one part here: each `(name, value, fault)` that it yields is written down at once."""
    found = {"rows": {}, "faults": []}
    module = importlib.import_module(PARTS[options.part[0]][0])
    try:
        for name, value, fault in module.rows(options.device, options.quick):
            found["rows"][name] = value
            found["faults"] += [f"{name}: {fault}"] if fault else []
            print(f"{name}: {value} {fault or ''}", flush=True)
            options.child.write_text(json.dumps(found), encoding="utf-8")
    except Exception as error:
        traceback.print_exc()
        found["faults"].append(f"{type(error).__name__}: {str(error)[:300]}")
    options.child.write_text(json.dumps(found), encoding="utf-8")
    return 0


def attempt(name: str, function, *arguments) -> tuple:
    """`(name, value, fault)` of a call whose failure is not to stop the part."""
    try:
        return name, function(*arguments), None
    except Exception as error:
        traceback.print_exc()
        return name, None, f"{type(error).__name__}: {str(error)[:300]}"


def save(report: dict, folder: Path) -> None:
    text = json.dumps(report, indent=1)
    (folder / "gpu.json").write_text(text + "\n", encoding="utf-8")


def table(report: dict) -> str:
    """The report in short lines."""
    lines = [" ".join(f"{k} {v}," for k, v in report.items() if k != "parts").rstrip(",")]
    for name, found in report["parts"].items():
        verdict = "FAILED" if found["faults"] else "holds"
        lines.append(f"\n{name}: {verdict} ({found.get('seconds', 0)} s)")
        lines += [f"  {row:<48} {brief(value)}" for row, value in found.get("rows", {}).items()]
        lines += [f"  ! {fault}" for fault in found["faults"]]
    return "\n".join(lines)


def brief(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {brief(v)}" for k, v in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())

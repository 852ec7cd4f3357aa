"""Run all lessons and solutions as they would run elsewhere; exit status 1 if a cell fails.

    python tests/elsewhere.py [--one] [NOTEBOOK ...]

One seed's live numbers move with the processor, the number of threads and the last digit of a
weight. Six settings emulate that; --one takes the first that is not this machine's own.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from mmlib.devices import usable_cores

TESTS = Path(__file__).parent
PYTEST = ["-q", "-p", "conftest", "--dist=loadscope", "--no-loadscope-reorder"]
PYTEST += ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=1500"]


class Setting(NamedTuple):
    """Instructions that oneDNN and PyTorch may use (none: the machine's own), threads, a seed."""

    name: str
    onednn: str | None
    aten: str | None
    threads: int
    perturbed: int | None = None

    def environment(self) -> dict[str, str]:
        """What makes a process compute in this setting; perturbed, see `perturbed_start`."""
        found = {"MMLIB_THREADS": str(self.threads)}
        if self.onednn:
            found["ONEDNN_MAX_CPU_ISA"] = self.onednn
        if self.aten:
            found["ATEN_CPU_CAPABILITY"] = self.aten
        if self.perturbed is not None:
            found |= {"PERTURBED": str(self.perturbed)}
            found |= {"PYTHONSTARTUP": str(TESTS / "support" / "perturbed_start.py")}
        return found


SETTINGS = (
    Setting("AVX2, 1 thread", "AVX2", "avx2", 1),
    Setting("SSE4.1, 1 thread", "SSE41", "default", 1),
    Setting("AVX2 and plain, 2 threads, perturbed", "AVX2", "default", 2, 1),
    Setting("AVX-512, 2 threads", "AVX512_CORE", None, 2),
    Setting("1 thread, perturbed", None, None, 1, 2),
    Setting("2 threads, perturbed", None, None, 2, 3),
)


def not_our_own() -> Setting:
    """The first setting whose instructions this machine's processor would not choose itself."""
    own = torch.backends.cpu.get_cpu_capability().lower()  # avx512, avx2 or default
    return next(setting for setting in SETTINGS if setting.aten not in (None, own))


def run(setting: Setting, names: list[str]) -> subprocess.CompletedProcess:
    """pytest on the notebooks in a setting, as many at a time as cores allow; its words kept."""
    together = min(usable_cores() // setting.threads, len(names) or 4, 4)
    workers = f"-n{together if together > 1 else 0}"  # 0: in pytest's own process
    command = [sys.executable, "-m", "pytest", *PYTEST, workers, *(names or ["notebooks"])]
    environment = os.environ | setting.environment() | {"PYTHONPATH": path_of_modules()}
    return subprocess.run(
        command, cwd=TESTS.parent, env=environment, capture_output=True, text=True
    )


def path_of_modules() -> str:
    """Where Python looks for modules: in the tests' folder, for their conftest, and as before."""
    return os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))


def main(words: list[str]) -> int:
    """Run the settings, one after the other, and print what failed; return how many did."""
    names = [word for word in words if word != "--one"]
    settings = [not_our_own()] if "--one" in words else SETTINGS
    failed = 0
    for setting in tqdm(settings, "settings"):
        done = run(setting, names)
        failed += done.returncode != 0
        said = done.stdout + done.stderr if done.returncode else done.stdout.splitlines()[-1]
        print(f"== {setting.name}: exit status {done.returncode}\n{said}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))

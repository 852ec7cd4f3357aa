"""Measure the course's budgets; exit status 1 if one is missed.

python tests/bench.py [--quick]     --quick leaves out the unit tests and nbval
"""

import subprocess
import sys
import time
from pathlib import Path

import nbformat
import torch
from run_notebooks import NOTEBOOKS, execute
from tqdm import tqdm

from mmlib.data import AVDigits
from mmlib.encoders import SmallCNN
from mmlib.methods import make_method
from mmlib.training import fit, seeded

ROOT = Path(__file__).parents[1]


def seconds(function, *arguments, **options):
    """Seconds that one call takes."""
    started = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - started


def build_training_split():
    """A fresh process, so that no cache of this one helps; the import is not counted."""
    code = (
        "import time; from mmlib.data import AVDigits; start = time.perf_counter(); "
        "AVDigits('train'); print(time.perf_counter() - start)"
    )
    return float(subprocess.check_output([sys.executable, "-c", code], text=True))


def joint_training():
    """15 epochs of joint concat on the default scenario."""
    data = AVDigits("train")
    with seeded(0):
        encoders = {m: SmallCNN() for m in data.modalities}
    return seconds(fit, make_method("joint", encoders, 10, 15), data, 15, progress=False)


def separability_memory():
    """Peak MB of a process that measures 10,000 x 512 features of 101 classes, imports included."""
    code = (
        "import resource, torch; from mmlib.methods.detached import effective_dimensions; "
        "effective_dimensions(torch.randn(10000, 512), torch.arange(10000) % 101); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)"
    )
    return float(subprocess.check_output([sys.executable, "-c", code], text=True))


def tests(*arguments):
    """Seconds of a pytest run that passes."""
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return seconds(subprocess.run, command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def clone_size():
    """MB that `git clone` brings: everything reachable from HEAD, packed."""
    pack = subprocess.run(
        ["git", "pack-objects", "--revs", "--stdout", "-q"],
        input=b"HEAD\n",
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    return len(pack.stdout) / 1e6


def notebooks():
    """Rows for each lesson and solution: seconds, peak memory, size of the committed file."""
    for path in tqdm(sorted(NOTEBOOKS.rglob("[0-9]*.ipynb")), desc="notebooks"):
        notebook = nbformat.read(path, as_version=4)
        started = time.perf_counter()
        memory = execute(notebook, path.parent, path.stem)
        name = path.relative_to(NOTEBOOKS)
        yield f"{name}, seconds", time.perf_counter() - started, 150
        yield f"{name}, kernel memory (MB)", memory, 1500
        yield f"{name}, file (KB)", path.stat().st_size / 1000, 600


def main(quick):
    """Measure, print each measurement beside its limit, return the number of misses."""
    torch.set_num_threads(2)
    # first: a child's peak starts at what its parent holds
    rows = [("effective dimensions, memory (MB)", separability_memory(), 1000)]
    rows.append(("build the training split (s)", build_training_split(), 4))
    rows.append(("joint training, 15 epochs (s)", joint_training(), 8))
    rows.extend(notebooks())
    rows.append(("git clone (MB)", clone_size(), 25))
    if not quick:
        nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
        rows.append(("unit tests (s)", tests("tests", "--deselect=tests/test_browser.py"), 180))
        rows.append(("all notebooks under nbval (s)", tests(*nbval, "notebooks"), 900))
    width = max(len(name) for name, _, _ in rows)
    for name, value, limit in rows:
        verdict = "" if value <= limit else "   over the limit"
        print(f"{name:{width}} {value:8.1f}  of {limit:5}{verdict}")
    return sum(value > limit for _, value, limit in rows)


if __name__ == "__main__":
    sys.exit(min(main("--quick" in sys.argv[1:]), 1))

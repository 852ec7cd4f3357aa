"""Measure the course's budgets; exit status 1 if one is missed.

python tests/bench.py [--quick]     --quick leaves out the unit tests and nbval
"""

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import nbformat
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from mmlib.batches import DRAWS, loaded
from mmlib.data import AVDigits, CremaD
from mmlib.data.tools.samples import write_sample
from mmlib.devices import seeded, use_threads
from mmlib.encoders import SmallCNN
from mmlib.methods import make_method
from mmlib.training import fit
from run_notebooks import NOTEBOOKS, execute

ROOT = Path(__file__).parents[1]
BATCH = 64


class Row(NamedTuple):
    """A measurement and its limit: the most that it may be or, with `least`, the least."""

    name: str
    value: float
    limit: float
    least: bool = False

    @property
    def missed(self):
        return self.value < self.limit if self.least else self.value > self.limit  # NaN: neither

    def text(self, width):
        """The line of the table, which says so where the limit is missed."""
        most = f"of {self.limit:5}" + (" or more" if self.least else "")
        verdict = ("   under the limit" if self.least else "   over the limit") * self.missed
        return f"{self.name:{width}} {self.value:8.1f}  {most}{verdict}"


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


def joint_training(epochs=15):
    """Seconds of joint concat on the default scenario."""
    data = AVDigits("train")
    with seeded(0):
        encoders = {m: SmallCNN() for m in data.modalities}
    method = make_method("joint", encoders, 10, epochs)
    return seconds(fit, method, data, epochs, progress=False)


def five_epochs(start=subprocess.Popen, **environment):
    """Seconds of `joint_training` in a process of its own, set up as a lesson sets itself up."""
    code = (
        "from mmlib.devices import use_threads; use_threads(); import bench; "
        "print(bench.joint_training(5))"
    )
    options = {"cwd": Path(__file__).parent, "env": os.environ | environment}
    with start([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, **options) as child:
        return float(child.communicate()[0])


def crowded(rounds=3):
    """Rows on a machine that does something else, too, and on a container of one core."""
    found = {name: [] for name in ("idle", "busy", "quota")}
    for _ in tqdm(range(rounds), desc="rounds of crowding"):
        found["idle"].append(five_epochs())
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
            found["busy"].append(five_epochs())
            other.kill()
        with suppress(PermissionError):  # only root may limit a group of processes
            found["quota"].append(five_epochs(in_one_core))
    idle, *others = (statistics.median(found[name] or [math.nan]) for name in found)
    names = ("beside one busy process", "in a quota of one core")
    for name, limit, value in zip(names, (2.2, 1.3), others):
        yield Row(
            f"5 epochs {name}, to {idle:.1f} s on an idle machine (times)", value / idle, limit
        )


@contextmanager
def in_one_core(command, **options):
    """As `Popen`, in a control group that may use one core."""
    root = Path("/sys/fs/cgroup")
    newer = (root / "cgroup.controllers").exists()
    group = (root if newer else root / "cpu") / f"mmlib-bench-{os.getpid()}"
    group.mkdir()
    try:
        file = "cpu.max" if newer else "cpu.cfs_quota_us"
        (group / file).write_text("100000 100000" if newer else "100000")
        join = f'echo $$ > {group}/cgroup.procs && exec "$@"'
        with subprocess.Popen(["sh", "-c", join, "sh", *command], **options) as child:
            yield child
    finally:
        group.rmdir()


def separability_memory():
    """Peak MB of a process that measures 10,000 x 512 features of 101 classes, imports included."""
    code = (
        "import resource, torch; from mmlib.methods.detached import effective_dimensions; "
        "effective_dimensions(torch.randn(10000, 512), torch.arange(10000) % 101); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)"
    )
    return float(subprocess.check_output([sys.executable, "-c", code], text=True))


def real_data():
    """Rows on CREMA-D's layout: items a second of one process, and whether memory stays flat."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        tree = write_sample("cremad", folder / "cremad", clips_per_class=60)
        few, many = (loading_memory(repeated(tree, folder / f"{n}", n), n) for n in (200, 800))
        rounds = list(loading_speeds(tree))
    for cache, limit, which in (("warm", 10, 2), ("cold", 1, 1)):
        own, speed = (statistics.median(speeds[k] for speeds in rounds) for k in (0, which))
        times = statistics.median(speeds[which] / speeds[0] for speeds in rounds)
        name = f"{cache} cache, {speed:,.0f} items/s over the {own:,.0f} of the per-item recipe"
        yield Row(f"{name} (times)", times, limit, least=True)
    yield Row(f"memory of 800 clips, {many:,.0f} MB, to that of 200 (times)", many / few, 1.15)


def loading_speeds(root, rounds=5):
    """Items a second by the per-item recipe, from a cold and from a warm cache, of each round.

    Frames are cropped and flipped at random in all three, and ours come as `fit` gets them. In
    turns, so that a busy machine slows down all.
    """
    # not at the top: children's peaks start at what we hold
    from support.reference_loader import PerItem

    for number in tqdm(range(rounds), desc="rounds of loading"):
        data = CremaD(root, "train", cache=root / f"cache{number}")
        clips = list(zip(data.ids, data.target.tolist()))
        reference = DataLoader(PerItem(root, clips, train=True), BATCH, shuffle=True)
        reference.dataset[0], CremaD(root, "train", cache=False)[0]  # the first call compiles much
        yield (
            len(data) / seconds(deque, reference, maxlen=0),
            len(data) / seconds(deque, training_batches(data), maxlen=0),
            len(data) * 20 / seconds(deque, training_batches(data, epochs=20), maxlen=0),
        )


def training_batches(data, epochs=1):
    """What `fit` trains on."""
    for _ in range(epochs):
        order, draws = torch.randperm(len(data)), torch.rand(len(data), DRAWS)
        yield from loaded(data, order.split(BATCH), "cpu", draws)


def repeated(root, folder, count):
    """A tree whose test split has `count` clips: those of `root`, linked under other names."""
    listed = (root / "data/CREMAD/train.csv").read_text().splitlines()
    for name in ("AudioWAV", "Image-01-FPS"):
        (folder / name).mkdir(parents=True)
    with open(folder / "test.csv", "w", encoding="utf-8") as file:
        for number in range(count):
            clip, label = listed[number % len(listed)].split(",")
            os.symlink(root / f"AudioWAV/{clip}.wav", folder / f"AudioWAV/{number}.wav")
            os.symlink(root / f"Image-01-FPS/{clip}", folder / f"Image-01-FPS/{number}")
            file.write(f"{number},{label}\n")
    return folder


def loading_memory(root, count):
    """Peak MB of a process that reads 1,600 clips, first from a cold cache, then from a warm one.

    As many whatever the `count` of the tree, for memory grows a little with the first few hundred.
    """
    code = (
        "import bench, collections, resource, sys; from mmlib.data import CremaD; "
        "batches = bench.training_batches(CremaD(sys.argv[1], 'test'), int(sys.argv[2])); "
        "collections.deque(batches, maxlen=0); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)"
    )
    command = [sys.executable, "-c", code, root, str(1600 // count)]
    return float(subprocess.check_output(command, text=True, cwd=Path(__file__).parent))


def make(target):
    """Seconds of a target of the Makefile that passes."""
    return seconds(
        subprocess.run, ["make", target], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )


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
        yield Row(f"{name}, seconds", time.perf_counter() - started, 90)
        yield Row(f"{name}, kernel memory (MB)", memory, 1200)
        yield Row(f"{name}, file (KB)", path.stat().st_size / 1000, 600)


def main(quick):
    """Measure, print each measurement beside its limit, return the number of misses."""
    # first: a child's peak starts at what its parent holds
    rows = [Row("effective dimensions, memory (MB)", separability_memory(), 1000)]
    use_threads()
    rows.extend(real_data())
    rows.extend(crowded())
    rows.append(Row("build the training split (s)", build_training_split(), 4))
    rows.append(Row("joint training, 15 epochs (s)", joint_training(), 16))
    rows.extend(notebooks())
    rows.append(Row("git clone (MB)", clone_size(), 25))
    if not quick:
        units, nbval = make("test-units"), make("test-notebooks")
        rows.append(Row("unit tests (s)", units, 180))
        rows.append(Row("all notebooks under nbval (s)", nbval, 300))
        rows.append(Row("make test in all (s)", units + nbval, 480))
    width = max(len(row.name) for row in rows)
    print("\n".join(row.text(width) for row in rows))
    return sum(row.missed for row in rows)


if __name__ == "__main__":
    sys.exit(min(main("--quick" in sys.argv[1:]), 1))

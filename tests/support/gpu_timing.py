"""Part of gpu_check.py: steps a second of the CREMA-D-shaped job, all on one card in one run.

Two ResNet-18, sound 257 x 188 and picture 3 x 224 x 224, joint training. `ours` is what `train`
does: `fit`, from the warm cache. `pure` is the same network, layout, precision and optimiser in a
bare loop over batches that lie on the card, the most that `fit` could reach. `released` is the loop
of the released code in float32, with `.item()` at every step: from batches on the card, and with
its per-item loading in worker processes. TF32 is as PyTorch has it: on in convolutions.
"""

import gc
import os
import statistics
import tempfile
import time
import warnings
from collections import Counter, deque
from itertools import cycle, islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from gpu_check import attempt
from mmlib.__main__ import parser
from mmlib.batches import DRAWS, ahead, loaded, reading
from mmlib.commands.building import build, encoder_for, open_data
from mmlib.commands.train import settings_of
from mmlib.data.tools.samples import write_sample
from mmlib.devices import seeded, usable_cores, use_threads
from mmlib.fusion import ConcatFusion
from mmlib.training import Plan, fit

CORES = usable_cores()
FULL = {"clips": 96, "batch": 64, "steps": 60, "rounds": 5, "window": 2 * CORES}
QUICK = {"clips": 4, "batch": 4, "steps": 2, "rounds": 2, "window": 2}
RESIDENT = 8  # batches on the card
SETTINGS = {
    "float32": ["--precision", "float32"],
    "bfloat16": ["--precision", "bfloat16"],
    "bfloat16, compiled": ["--precision", "bfloat16", "--compile"],
}


def rows(device, quick):
    """Each row a measurement; the goals come last, over all of them."""
    size = QUICK if quick else FULL
    use_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        root = write_sample("cremad", Path(folder) / "cremad", clips_per_class=size["clips"])
        data = opened(root)
        fill(data, size["batch"])
        for name, function, *arguments in measurements(root, data, device, size):
            clear(device)
            row = attempt(name, function, *arguments)
            found[name] = row[1]
            yield row
    yield from goals(found, quick)


def measurements(root, data, device, size):
    """The rows in order; what takes long to start is last."""
    simple = ("float32", "bfloat16")
    yield "loader alone", loader, data, device, size
    yield "loader alone, by threads", loader, data, device, size, False
    for name in simple:
        yield f"pure, {name}", pure, root, data, device, name, size
        yield f"ours, {name}", ours, root, data, device, name, size
    yield "synchronisations", synchronisations, root, data, device, size
    yield "released, on the card", resident, data, device, size
    yield "released, per item", per_item, root, data, device, size
    if device == "cpu" and size is QUICK:
        return  # compiling takes minutes there
    yield "pure, compiled", pure, root, data, device, "bfloat16, compiled", size
    yield "ours, compiled", ours, root, data, device, "bfloat16, compiled", size


def flags(root, name="float32"):
    """The arguments of `train`."""
    words = ["train", "--data", "cremad", "--root", str(root), "--out", str(root / "run")]
    return parser().parse_args([*words, *SETTINGS[name]])


def opened(root):
    """The training split, as `train` opens it."""
    return open_data(flags(root), settings_of(flags(root)), "train")


def built(root, data, device, name):
    """The method, as `train` builds it."""
    torch.backends.cudnn.benchmark = device == "cuda"  # `train` does
    arguments = flags(root, name)
    return build(arguments, settings_of(arguments), data, torch.device(device))


def fill(data, batch):
    """Warm the cache: the sound and all frames of every clip."""
    for luck in (0.05, 0.3, 0.45, 0.55, 0.7, 0.95):  # of four, three or two frames
        parts = torch.arange(len(data)).split(batch)
        take = [(rows, torch.full((len(rows), DRAWS), luck)) for rows in parts]
        deque(ahead(lambda pair: data.take(*pair), take, threads=CORES), maxlen=0)


def visits(data, size):
    """An epoch of whole batches; the sample tree is gone through as often as it takes."""
    count = size["steps"] * size["batch"]
    return torch.arange(len(data)).repeat(-(-count // len(data)))[:count]


def on_the_card(data, device, batch):
    """Some batches as `fit` gets them."""
    parts = visits(data, {"steps": RESIDENT, "batch": batch}).split(batch)
    read = loaded(data, parts, device, torch.rand(len(data), DRAWS))
    return [(inputs, target) for inputs, target, _ in read]


def clear(device):
    """Forget what the row before left."""
    torch._dynamo.reset()
    gc.collect()
    torch.backends.cudnn.benchmark = False
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def wait(device):
    """The time, once the card has done all that it was asked for."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def speed(seconds, steps, device):
    """The median of some times, what they were, and the memory at the peak."""
    found = {
        "steps/s": steps / statistics.median(seconds),
        "seconds": [round(s, 4) for s in seconds],
    }
    if device == "cuda":
        found["GB"] = torch.cuda.max_memory_allocated() / 1e9
    return found


def ours(root, data, device, name, size):
    """`fit`'s own seconds of an epoch, without the first one."""
    method = built(root, data, device, name)
    planned, order = method.plan, visits(data, size)

    def plan(epoch):
        planned(epoch)
        return Plan(order)

    method.plan = plan
    rounds = {"after_epoch": lambda rows: len(rows) > size["rounds"], "progress": False}
    history = fit(method, data, method.epochs, size["batch"], 0, device, **rounds)
    return speed([row["seconds"] for row in history[1:]], size["steps"], device)


def pure(root, data, device, name, size):
    """The same network and optimiser, without anything else."""
    method, batches = built(root, data, device, name), on_the_card(data, device, size["batch"])
    method.model.train()
    seconds = []
    for _ in range(1 + size["rounds"]):
        started = wait(device)
        for inputs, target in islice(cycle(batches), size["steps"]):
            loss = F.cross_entropy(method.model(inputs)["fused"], target)
            method.optimizer.zero_grad()
            loss.backward()
            method.optimizer.step()
        seconds.append(wait(device) - started)
    return speed(seconds[1:], size["steps"], device)


def released(batches, data, device, size, warm_up=20):
    """Seconds of windows in the stream of steps; see the module."""
    settings = {"text_model": None, "pretrained": False}
    with seeded(0):
        encoders = {m: encoder_for(x, data, settings) for m, x in data[0][0].items()}
    model = ConcatFusion(encoders, len(data.classes)).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, 0.9, weight_decay=1e-4)
    seconds, total = [], 0.0
    for count in (warm_up, *[size["window"]] * size["rounds"]):
        started = wait(device)
        for inputs, target, *_ in islice(batches, count):
            inputs, target = {m: x.to(device) for m, x in inputs.items()}, target.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs)["fused"], target)
            loss.backward()
            optimizer.step()
            total += loss.item()
        seconds.append(wait(device) - started)
    return speed(seconds[1:], size["window"], device)


def resident(data, device, size):
    """`released` on batches that lie on the card."""
    return released(cycle(on_the_card(data, device, size["batch"])), data, device, size)


def per_item(root, data, device, size):
    """`released` by its DataLoader, at its steady speed, the workers' start left out."""
    from reference_loader import PerItem

    workers = usable_workers(size)
    clips = list(zip(data.ids, data.target.tolist()))
    count = (size["rounds"] + 2) * max(size["window"], 20) * size["batch"]
    items = PerItem(root, list(islice(cycle(clips), count)), train=True)
    items[0]  # librosa compiles at the first call
    options = {"shuffle": True, "num_workers": workers, "pin_memory": device == "cuda"}
    batches = iter(DataLoader(items, size["batch"], **options))
    return {"workers": workers} | released(batches, data, device, size, warm_up=size["window"])


def usable_workers(size):
    """One a core, as many as shared memory holds two batches of."""
    place = os.statvfs("/dev/shm")
    each = 3 * size["batch"] * 4 * (257 * 188 + 3 * 224 * 224)
    return max(1, min(CORES, place.f_bavail * place.f_frsize // each))


def loader(data, device, size, processes=True):
    """Batches a second, finished on the device, from the warm cache; as `fit` has them."""
    seconds = []
    with reading(data, device) as read:
        for _ in range(1 + size["rounds"]):
            started = wait(device)
            parts, luck = visits(data, size).split(size["batch"]), torch.rand(len(data), DRAWS)
            found = loaded(data, parts, device, luck, read if processes else None)
            deque(found, maxlen=0)
            seconds.append(wait(device) - started)
    return speed(seconds[1:], size["steps"], device)


def synchronisations(root, data, device, size):
    """Where the CPU waits for the card in an epoch of `fit`, and how often a step."""
    if device != "cuda":
        return {"a step": None}
    method = built(root, data, device, "bfloat16")
    planned, order = method.plan, visits(data, size)
    method.plan = lambda epoch: (planned(epoch), Plan(order))[1]
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            once = {"after_epoch": lambda rows: True, "progress": False}
            fit(method, data, method.epochs, size["batch"], 0, device, **once)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    said = [w for w in said if "synchroniz" in str(w.message)]
    places = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in said)
    return {"a step": len(said) / size["steps"], "where": dict(places.most_common(8))}


def goals(found, quick):
    """The issue's three goals; tiny sizes miss them and are not judged."""

    def of(name):
        return (found.get(name) or {}).get("steps/s", float("nan"))

    kinds = ("float32", "bfloat16", "compiled")
    for kind in kinds:
        yield goal(f"ours of pure, {kind}", of(f"ours, {kind}") / of(f"pure, {kind}"), 0.8, quick)
    best = max((of(f"ours, {kind}") for kind in kinds), key=lambda x: (x == x, x))
    yield goal("ours, best, over released per item", best / of("released, per item"), 3, quick)
    fastest = max((of(f"pure, {kind}") for kind in kinds), key=lambda x: (x == x, x))
    yield goal("loader alone, over the fastest pure", of("loader alone") / fastest, 1, quick)


def goal(name, value, least, quick):
    """A ratio, and whether it is under its goal."""
    return name, value, None if quick or value >= least else f"{value:.3g} is under {least}"

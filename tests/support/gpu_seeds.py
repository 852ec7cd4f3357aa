"""Part of gpu_check.py: does a GPU help the course's small runs, and by which way?

Seeds a minute of joint training on AV-Digits (15 epochs, from the seconds of fewer): with 1 to 16
processes at once, a seed each, on the CPU and on the card; and seed-steps a second where one
process trains many seeds at once, their weights stacked (`torch.func`, a prototype).
"""

import multiprocessing
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import (
    functional_call,
    grad,
    replace_all_batch_norm_modules_,
    stack_module_state,
    vmap,
)

from gpu_check import attempt
from mmlib.data import AVDigits
from mmlib.devices import seeded, usable_cores, use_threads
from mmlib.encoders import SmallCNN
from mmlib.methods import make_method
from mmlib.training import fit

BATCH, COURSE_EPOCHS, LIMIT = 64, 15, 90
FULL = {
    "at_once": (1, 2, 4, 8, 16),
    "size": 3000,
    "epochs": 3,
    "seeds": (1, 5, 20, 50),
    "steps": 40,
}
QUICK = {"at_once": (1, 2), "size": 128, "epochs": 1, "seeds": (1, 2), "steps": 2}


def rows(device, quick):
    """Processes first, then stacked weights."""
    size = QUICK if quick else FULL
    most = min(max(size["at_once"]), usable_cores())
    at_once = [count for count in size["at_once"] if count <= most]
    places = [("cpu", 1), ("cpu", most)] + [(device, count) for count in at_once]
    try:
        found = processes(places, size, most)
    except Exception as error:
        yield "processes", None, f"{type(error).__name__}: {error}"
        found = []
    for (place, count), seconds in zip(places, found):
        minute = 60 * count / (seconds * COURSE_EPOCHS / size["epochs"])
        value = {"seconds an epoch": seconds / size["epochs"], "seeds a minute": minute}
        yield f"{place}, {count} at once", value, None
    use_threads(1)
    data = AVDigits("train", size=min(size["size"], 640))
    for seeds in size["seeds"]:
        yield attempt(f"{seeds} seeds stacked", stacked, seeds, data, device, size["steps"])


def processes(places, size, most):
    """Seconds that the slowest process takes in each of `places`."""
    spawn = multiprocessing.get_context("spawn")
    barrier, queue = spawn.Barrier(most), spawn.Queue()
    jobs = [
        spawn.Process(target=worker, args=(seed, places, size, barrier, queue), daemon=True)
        for seed in range(most)
    ]
    for job in jobs:
        job.start()
    seconds = [queue.get(timeout=LIMIT) for _ in jobs]
    for job in jobs:
        job.join(10)
    return [max(of_place) for of_place in zip(*seconds)]


def worker(seed, places, size, barrier, queue):
    """Train in those of `places` that have work for this seed; all begin each at the same time."""
    use_threads(1)
    data = AVDigits("train", size=size["size"], seed=0)
    if any(place == "cuda" for place, _ in places):
        train(data, 1, seed, "cuda")  # what starts at the first use
    seconds = []
    for place, count in places:
        barrier.wait(LIMIT)
        started = time.perf_counter()
        if seed < count:
            train(data, size["epochs"], seed, place)
        seconds.append(time.perf_counter() - started)
    queue.put(seconds)


def train(data, epochs, seed, device):
    """Joint training as `make results` does it."""
    with seeded(seed):
        encoders = {m: SmallCNN() for m in data.modalities}
    method = make_method("joint", encoders, len(data.classes), epochs, seed, device)
    fit(method, data, epochs, BATCH, seed, device, progress=False)


class Small(nn.Module):
    """`ConcatFusion` over `SmallCNN`, without what `vmap` refuses: a layout, running statistics."""

    def __init__(self, modalities, classes):
        super().__init__()
        self.encoders = nn.ModuleDict({m: SmallCNN().layers for m in modalities})
        self.head = nn.Linear(64 * len(self.encoders), classes)
        replace_all_batch_norm_modules_(self)
        self.to(memory_format=torch.contiguous_format)
        for layer in self.modules():
            if isinstance(layer, nn.ReLU):
                layer.inplace = False

    def forward(self, inputs):
        return self.head(torch.cat([self.encoders[m](x) for m, x in inputs.items()], 1))


def stacked(seeds, data, device, steps):
    """Steps times seeds a second of SGD with momentum, every seed on batches of its own."""
    models = []
    for seed in range(seeds):
        with seeded(seed):
            models.append(Small(data.modalities, len(data.classes)).to(device))
    weights, _ = stack_module_state(models)
    base = models[0].to("meta")
    inputs = {m: x.to(device) for m, x in data.inputs.items()}
    target = data.target.to(device)

    def loss(own, batch, labels):
        return F.cross_entropy(functional_call(base, own, (batch,)), labels)

    gradients = vmap(grad(loss))
    values = [x.detach() for x in weights.values()]
    weights, momentum = dict(zip(weights, values)), [torch.zeros_like(x) for x in values]
    taken = []
    for step in range(2 * steps):  # the first half warms up
        if step % steps == 0:
            if device == "cuda":
                torch.cuda.synchronize()
            taken.append(time.perf_counter())
        index = torch.randint(len(target), (seeds, BATCH), device=device)
        found = gradients(weights, {m: x[index] for m, x in inputs.items()}, target[index])
        torch._foreach_mul_(momentum, 0.9)
        torch._foreach_add_(momentum, list(found.values()))
        torch._foreach_add_(values, momentum, alpha=-0.05)
    if device == "cuda":
        torch.cuda.synchronize()
    speed = steps * seeds / (time.perf_counter() - taken[1])
    if not all(torch.isfinite(x).all() for x in values):
        raise ValueError("the weights are not finite")
    each = -(-3000 // BATCH) * COURSE_EPOCHS
    found = {"seed-steps/s": speed, "seeds a minute": 60 * speed / each}
    if device == "cuda":
        found["GB"] = torch.cuda.max_memory_allocated() / 1e9
    return found

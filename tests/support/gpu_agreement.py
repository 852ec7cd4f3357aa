"""Part of gpu_check.py: every method's losses on the GPU beside those on the CPU.

Twenty steps on the same batches, through `fit`, so that what plans do (valuations, new classifiers,
second stages) is in them. Random numbers that a method draws on its device are drawn on the CPU on
both sides and copied. float32 has no TF32; float64 tells rounding from another formula.
"""

import copy
import traceback
from contextlib import contextmanager, suppress

import torch

from mmlib.data import AVDigits
from mmlib.devices import seeded, use_threads
from mmlib.encoders import SmallCNN
from mmlib.methods import METHODS, make_method, valuation
from mmlib.training import fit

EPOCHS, PER_EPOCH, STEPS, BATCH = 4, 5, 20, 64
LIMIT = 1e-4  # of a loss, relative where it is above 1
LIMIT_DOUBLE = 1e-8  # 20 steps of training enlarge a rounding of 1e-16 by far less
# a small rate in float32: at the methods' own, roundings alone grow to 5e-3 in 20 steps on CPUs
KINDS = {"float32": (torch.float32, 0.003), "float64": (torch.float64, None)}


class EnoughError(Exception):
    """So many steps have been taken."""


def rows(device, quick):
    """The largest differences of each method."""
    use_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    size = 8 if quick else BATCH
    data = AVDigits("train", size=PER_EPOCH * size)
    for name in list(METHODS)[:: 6 if quick else 1]:
        try:
            yield name, *compared(name, data, device, size)
        except Exception as error:
            traceback.print_exc()
            yield name, None, f"{type(error).__name__}: {error}"


def compared(name, data, device, size):
    """What to report of a method, and what is wrong with it."""
    found = {}
    for kind, (dtype, lr) in KINDS.items():
        here, there = (losses(name, data, place, dtype, lr, size) for place in ("cpu", device))
        apart = (here - there).abs() / here.abs().clamp(min=1)
        found[kind] = apart.max().item()
        found[f"{kind}, first {PER_EPOCH}"] = apart[:PER_EPOCH].max().item()
    return found, fault_of(found, decides=name.startswith("valuation"))


def fault_of(found, decides):
    """float64 must agree, and float32. A method that `decides` on samples by right and wrong may
    decide otherwise by a rounding, and visits others from there on: float32 up to the first plan.
    """
    if not found["float64"] <= LIMIT_DOUBLE:
        return "the losses differ in float64"
    if not found["float32, first 5" if decides else "float32"] <= LIMIT:
        return "the losses differ in float32"
    return None


def losses(name, data, device, dtype, lr, size):
    """The loss of every step, `(STEPS,)`, float64 on the CPU."""
    data = copy.copy(data)
    data.inputs = {m: x.to(dtype) for m, x in data.inputs.items()}
    options = {} if lr is None else {"lr": lr}
    with drawn_on_the_cpu(), computing_in(dtype):
        with seeded(0):
            encoders = {m: SmallCNN() for m in data.modalities}
        method = make_method(name, encoders, 10, EPOCHS, 0, device, data, **options)
        found = watched(method)
        with suppress(EnoughError):
            fit(method, data, EPOCHS, size, 0, device, progress=False)
    return torch.stack(found).double().cpu()


@contextmanager
def computing_in(dtype):
    """New tensors are of that type; so is what valuation says of a sample, which is float32."""
    before, values = torch.get_default_dtype(), valuation.shapley_values
    torch.set_default_dtype(dtype)
    valuation.shapley_values = lambda v: {m: phi.to(dtype) for m, phi in values(v).items()}
    try:
        yield
    finally:
        torch.set_default_dtype(before)
        valuation.shapley_values = values


def watched(method):
    """A list that gets the loss of every step; there are `STEPS` at most."""
    found, step = [], method.step

    def noted(*arguments):
        if len(found) == STEPS:
            raise EnoughError
        log = step(*arguments)
        found.append(log["loss"])
        return log

    method.step = noted
    return found


@contextmanager
def drawn_on_the_cpu():
    """What is drawn from a generator comes from a CPU generator of the same seed, on any device."""
    twins = {}

    def twin(generator):  # the generator is kept, so that its id stays its own
        fresh = generator, torch.Generator().manual_seed(generator.initial_seed())
        return twins.setdefault(id(generator), fresh)[1]

    def in_place(draw):
        def drawn(x, *arguments, generator=None, **options):
            if generator is None:
                return draw(x, *arguments, **options)
            own = torch.empty(x.shape, dtype=x.dtype)
            return x.copy_(draw(own, *arguments, generator=twin(generator), **options))

        return drawn

    def new(draw):
        def drawn(*arguments, generator=None, device=None, **options):
            if generator is None:
                return draw(*arguments, device=device, **options)
            return draw(*arguments, generator=twin(generator), **options).to(device or "cpu")

        return drawn

    patches = [(torch.Tensor, name, in_place) for name in ("normal_", "bernoulli_", "uniform_")]
    patches += [(torch, name, new) for name in ("rand", "randint", "randn")]
    before = [getattr(place, name) for place, name, _ in patches]
    for (place, name, kind), draw in zip(patches, before):
        setattr(place, name, kind(draw))
    try:
        yield
    finally:
        for (place, name, _), draw in zip(patches, before):
            setattr(place, name, draw)

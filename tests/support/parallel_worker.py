"""What each process of the torchrun in test_parallel.py does: train the methods, save what came,
then run the command line.

torchrun --standalone --nproc-per-node=2 parallel_worker.py FOLDER
"""

import sys
from pathlib import Path

import torch
from torch import nn

import mmlib.data
import toys
from mmlib.__main__ import main
from mmlib.checkpoints import save_checkpoint
from mmlib.commands.report import predictions
from mmlib.devices import seeded
from mmlib.fusion import ConcatFusion
from mmlib.methods import make_method
from mmlib.parallel import (
    average_gradients,
    mean_over_processes,
    normal_like,
    own_rows,
    rank,
    share_batch_norm,
    start_processes,
    whole_batch,
    world_size,
)
from mmlib.training import Plan, fit
from toys import Lazy, make, weights

NAMES = ("joint", "joint-unimodal", "ensemble", "ogm-ge", "valuation", "valuation-modality")
NAMES += ("boosting", "detached", "gap", "cal", "modality-dropout")


def trained(name):
    """`losses` of each step, a row an epoch in `history`, `weights`; 12 steps or more, augmented,
    in a network with batch normalisation."""
    data = Lazy(".", "train")
    method = make(name, data, lr=0.02)
    losses, step = [], method.step

    def watched(*batch):
        log = step(*batch)
        losses.append(mean_over_processes({"loss": log["loss"]})["loss"])
        return log

    def even(epoch, plan=method.plan):
        """Without the odd visit that two processes could not share."""
        found = plan(epoch) or Plan(torch.arange(len(data)))
        count = len(found.index) // 2 * 2
        keep = found.keep and {m: kept[:count] for m, kept in found.keep.items()}
        return Plan(found.index[:count], keep, found.looked_at)

    method.step, method.plan = watched, even
    size = 8 if name == "gap" else 16  # with fewer steps its mixture finds no two components
    history = fit(method, data, epochs=4, batch_size=size, progress=False)
    acted = {
        "gap": lambda: not method.mixture.degenerate,
        "boosting": lambda: len(method.grown) > 0,
        "detached": lambda: method.model.use_concat and any(map(any, method.teaches.values())),
        "valuation": lambda: history[-1]["samples"] > len(data),
        "cal": lambda: method.weights["audio"] != method.weights["visual"],
    }
    return {
        "losses": torch.tensor([float(loss) for loss in losses]),
        "weights": weights(method),
        "history": torch.tensor([row["loss"] for row in history]),
        "acted": bool(acted.get(name, lambda: True)()),
    }


def pieces():
    """What the functions of mmlib.parallel give for a batch of 8 rows."""
    whole = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    x = own_rows(whole).clone().requires_grad_()
    with seeded(0):
        norm = share_batch_norm(torch.nn.Sequential(torch.nn.BatchNorm2d(3)))
        layer = torch.nn.Linear(2, 2)
    y = norm(x)
    (y**3).mean().backward()
    generator = torch.Generator().manual_seed(1)
    mean = mean_over_processes({"a": own_rows(torch.arange(8.0)).mean()})
    found = {
        "batch": whole_batch(own_rows(torch.arange(8) % 3 == 0)),
        "mean": torch.tensor(float(mean["a"])),
        "noise": normal_like(x, generator),
        "normalised": y.detach(),
        "running_mean": norm[0].running_mean,
        "running_var": norm[0].running_var,
        "gradient": whole_batch(x.grad / world_size()),
    }
    if rank() == 0:
        layer(torch.ones(1, 2))[0, 0].backward()
    average_gradients(layer)
    used = layer.weight.grad is not None
    average_gradients(norm)  # a parameter without gradient in every process keeps none
    frozen = torch.nn.Linear(2, 2)
    average_gradients(frozen)
    found["no gradient"] = used and frozen.weight.grad is None
    found["empty share"] = _masked_in_one_process()
    return found


def judged():
    """Logits that the processes predict together, of 5 batches, then 2 and 1; and who read what."""
    found = {}
    for size in (300, 70, 5):
        data = Lazy(".", "val", size=size)
        method = make("joint", data, change=share_batch_norm)
        found[size] = predictions(method, data) | {"reads": torch.tensor(data.reads)}
    return found


class Norms(nn.Module):
    """An encoder with batch normalisation of every kind, one without weights, one with a mean over
    all steps."""

    features = 16

    def __init__(self, width=4):
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm3d(1), nn.Flatten(1, 2))
        self.convolution = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2), nn.BatchNorm2d(width, momentum=None), nn.ReLU()
        )
        self.after = nn.Sequential(nn.Linear(width * 49, 16), nn.BatchNorm1d(16, affine=False))

    def forward(self, x):
        x = self.convolution(self.before(x.unsqueeze(1)))
        return self.after(x.flatten(1))


def unseeded(checkpoint=None, epochs=3):
    """Weights after training from the first process's start: all others have their own."""
    data = Lazy(".", "train")
    torch.manual_seed(rank())
    encoders = {m: Norms() for m in data.modalities}
    before = [(layer, *layer.parameters(False)) for x in encoders.values() for layer in x.modules()]
    method = make_method("joint", encoders, 5, epochs, seed=rank(), lr=0.02)
    fit(method, data, epochs, 8, progress=False, checkpoint=checkpoint, resume=True)
    now = [(layer, *layer.parameters(False)) for x in encoders.values() for layer in x.modules()]
    same = all(x is y for then, found in zip(before, now) for x, y in zip(then, found, strict=True))
    return {"weights": weights(method), "kept": same}


class Own:
    """A method of one's own: it averages the gradients, or forgets to; its state may lack things.

    `layer` stands beside its model; `noise` adds a running mean of its own to that.
    """

    def __init__(self, averages=True, noise=False, whole=True):
        self.model = ConcatFusion({m: toys.Flat() for m in Lazy.modalities}, 5)
        self.layer = nn.Linear(5, 5)
        self.layer.register_buffer("mean", torch.zeros(()))
        both = [*self.model.parameters(), *self.layer.parameters()]
        self.optimizer = torch.optim.SGD(both, 0.05, 0.9)
        self.averages, self.noise, self.whole = averages, noise, whole

    def plan(self, epoch):
        return None

    def step(self, inputs, target, index, keep=None):
        loss = nn.functional.cross_entropy(self.layer(self.model(inputs)["fused"]), target)
        self.optimizer.zero_grad()
        loss.backward()
        for module in (self.model, self.layer) if self.averages else ():
            average_gradients(module)
        self.optimizer.step()
        if self.noise:
            self.layer.mean += loss.detach()
        return {"loss": loss.detach()}

    def predict(self, inputs):
        return self.model(inputs)

    def state_dict(self):
        parts = {"optimizer": self.optimizer, "model": self.model, "layer": self.layer}
        return {name: parts[name].state_dict() for name in list(parts)[: None if self.whole else 2]}

    def load_state_dict(self, state):
        for name, part in state.items():
            getattr(self, name).load_state_dict(part)


def own(**options):
    """The weights of `Own`, from the first process's start."""
    torch.manual_seed(rank())
    method = Own(**options)
    fit(method, Lazy(".", "train"), 2, 8, progress=False)
    return torch.cat([weights(method), *(p.detach().flatten() for p in method.layer.parameters())])


def said(run, *arguments, **options):
    """The kind and the sentence of the error that this ends with."""
    try:
        run(*arguments, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def fitted(name="joint", data=None, epochs=2, width=4, checkpoint=None, resume=False, **options):
    """`fit` with what may differ between processes."""
    data = data or Lazy(".", "train")
    planned, lr = int(epochs), options.pop("lr", 0.02)
    method = make(name, data, planned, encoder=lambda: Norms(width), lr=lr)
    settings = {"batch_size": 8, "progress": False, "checkpoint": checkpoint, "resume": resume}
    fit(method, data, epochs, **settings | options)


def planned(other):
    """`fit` with a plan that a process draws otherwise."""
    method, data = make("joint", Lazy(".", "train"), 1), Lazy(".", "train")
    method.plan = lambda epoch: Plan(torch.arange(40).roll(int(other)))
    fit(method, data, 1, 8, progress=False)


class OwnNorm(nn.BatchNorm2d):
    """Batch normalisation with a computation of its own."""

    def forward(self, x):
        return super().forward(x).relu()


def faults(folder):
    """What is said in each case in which something is not the same in both processes."""
    data, second = Lazy(".", "train"), rank() == 1
    half, other = Lazy(".", "train", size=20), Lazy(".", "train")
    other.target = other.target.flip(0)
    in_memory = toys.whole(data)
    in_memory.inputs["audio"] = in_memory.inputs["audio"] + rank()
    mine = folder / ("none" if second else "some") / "checkpoint.pt"
    found = {
        "odd batch": said(fitted, batch_size=7),
        "epochs": said(fitted, epochs=1 + second),
        "batch_size": said(fitted, batch_size=4 + 4 * second),
        "seed": said(fitted, seed=rank()),
        "method": said(fitted, "ensemble" if second else "joint"),
        "half": said(fitted, data=half if second else data),
        "targets": said(fitted, data=other if second else data),
        "inputs": said(fitted, data=in_memory),
        "width": said(fitted, width=4 + second),
        "lr": said(fitted, lr=0.02 + 0.01 * second),
        "one cannot": said(fitted, epochs=1.5 if second else 1),
        "plan": said(planned, second),
        "forgotten": said(own, averages=False),
        "statistic": said(own, noise=True),
        "state": said(own, whole=False),
        "own norm": said(share_batch_norm, nn.Sequential(OwnNorm(3))),
        "first": said(
            fitted, checkpoint=mine, after_epoch=bool
        ),  # the second process sees no file of it
        "one file": said(fitted, checkpoint=mine, resume=True),
        "exists": said(fitted, checkpoint=mine),
    }
    if second:
        unequal = make("joint", data, 2, encoder=Norms, lr=0.02)
        mine.parent.mkdir(parents=True)
        save_checkpoint(mine, unequal, [{"epoch": 1, "loss": 2.0}])
    return found | {"other file": said(fitted, checkpoint=mine, resume=True)}


def command(out):
    """The exit status of `train` on the toy data."""
    mmlib.data.DATA = {"toy": Lazy}
    words = ["--data", "toy", "--root", ".", "--device", "cpu", "--quiet", "--epochs", "2"]
    words += ["--method", "valuation", "--batch-size", "8", "--lr", "0.02", "--seed", "1"]
    return main(["train", *words, "--out", str(out)])


def _masked_in_one_process():
    """A modality that one process masks in all its rows, or both: training goes on."""
    data = Lazy(".", "train")
    model = make("joint", data, change=share_batch_norm).model
    assert isinstance(model, ConcatFusion)
    inputs = data.finish(data.take(torch.arange(4)))
    for kept in (rank() == 0, False):
        keep = {"audio": torch.ones(4, dtype=torch.bool), "visual": torch.full((4,), kept)}
        loss = model.train()(inputs, keep)["fused"].sum()
        loss.backward()
    average_gradients(model)
    return all(bool(torch.isfinite(p.grad).all()) for p in model.parameters())


if __name__ == "__main__":
    torch.set_num_threads(1)
    start_processes()
    found = {name: trained(name) for name in NAMES}
    folder = Path(sys.argv[1])
    found |= {"pieces": pieces(), "judged": judged(), "faults": faults(folder)}
    found |= {"unseeded": unseeded(), "own": own()}
    torch.save(found, folder / f"{rank()}.pt")
    sys.exit(command(folder / "command"))  # it leaves the group at its end

"""What each process of the torchrun in test_parallel.py does: train the methods, save what came,
then run the command line.

torchrun --nproc-per-node 2 parallel_worker.py FOLDER
"""

import sys

import torch

import mmlib.data
from mmlib.__main__ import main
from mmlib.commands.report import predictions
from mmlib.devices import seeded
from mmlib.fusion import ConcatFusion
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
    method = make(name, data, change=share_batch_norm, lr=0.02)
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


def odd_batch():
    """What the loop says of a batch that two processes cannot share."""
    data = Lazy(".", "train")
    try:
        fit(make("joint", data), data, epochs=4, batch_size=7, progress=False)
    except ValueError as error:
        return str(error)


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
    found |= {"pieces": pieces(), "judged": judged(), "odd batch": odd_batch()}
    torch.save(found, f"{sys.argv[1]}/{rank()}.pt")
    sys.exit(command(f"{sys.argv[1]}/command"))  # it leaves the group at its end

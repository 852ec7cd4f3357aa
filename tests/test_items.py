"""PyTorch's data sets, an item at a time: trained as the same data in memory, with luck that is
repeatable."""

import random
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import toys
from mmlib.batches import DRAWS, batches, loaded, reading
from mmlib.evaluation import accuracy, collect, probe_encoders
from mmlib.items import Items
from mmlib.training import fit
from toys import Linear, reading_threads, rows


class Theirs(Dataset):
    """`rows`, an item at a time; with `luck` every item is augmented by all global generators."""

    def __init__(self, luck=False, form=lambda inputs, target, i: (inputs, target)):
        self.rows, self.luck, self.form = rows(), luck, form

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        inputs = {m: x[i] for m, x in self.rows.inputs.items()}
        if self.luck:
            shift = torch.rand(()) + np.random.rand() + random.random()  # noqa: NPY002
            inputs = {m: x + shift.float() for m, x in inputs.items()}
        return self.form(inputs, int(self.rows.target[i]), i)


FORMS = {
    "pair": lambda inputs, target, i: (inputs, target),
    "with an index": lambda inputs, target, i: (inputs, torch.tensor(target), i),
    "arrays": lambda inputs, target, i: (
        {m: x.numpy() for m, x in inputs.items()},
        np.int64(target),
    ),
}


def trained(name, data, seed=0):
    method = toys.make_method(name, {m: Linear() for m in ("audio", "visual")}, 5, 4, dataset=data)
    return method, fit(method, data, 4, 8, seed=seed, progress=False)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["joint", "valuation", "detached", "gap"])
def test_items_train_as_the_same_data_in_memory(name, form):
    data, found = Items(Theirs(form=FORMS[form])), []
    for own in (data, rows()):
        with toys.seeded(0):
            method, history = trained(name, own)
        found.append((toys.weights(method), [row["loss"] for row in history]))
    assert found[0][1] == found[1][1] and torch.equal(found[0][0], found[1][0])
    assert torch.equal(data.target, rows().target)
    logits = collect(method.predict, data)["fused"]
    assert accuracy(logits, data.target) == accuracy(logits, rows().target)
    assert set(probe_encoders(method.model, data, data)) == {"audio", "visual"}


def seen(data, batch_size, seed=0):
    """What a run shows of each sample, by epoch."""
    found = {}

    class Recorder:
        model = torch.nn.Identity()

        def plan(self, epoch):
            self.epoch = epoch

        def step(self, inputs, target, index, keep=None):
            found.update({(self.epoch, i): x for i, x in zip(index.tolist(), inputs["audio"])})
            torch.rand(3)  # as dropout draws
            return {"loss": torch.tensor(0.0)}

    fit(Recorder(), data, 2, batch_size, seed, progress=False)
    return found


def test_what_an_item_draws_depends_on_seed_epoch_and_sample_alone():
    data = Items(Theirs(luck=True))
    few, many, other = seen(data, 3), seen(data, 16), seen(data, 3, seed=1)
    assert all(torch.equal(few[key], many[key]) for key in few)
    assert not any(torch.equal(few[key], other[key]) for key in few)
    assert not any(torch.equal(few[0, i], few[1, i]) for i in range(40))
    first, second = (torch.cat([x["audio"] for x, *_ in batches(data, 7)]) for _ in range(2))
    assert torch.equal(first, second)  # evaluation


def test_the_global_generators_are_left_alone_and_no_thread_reads():
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    data = Items(Theirs(luck=True))
    for _ in batches(data, 8):
        assert not reading_threads()
    data.take(torch.arange(4), torch.rand(4, DRAWS, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[2]
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="starts processes by fork")
def test_processes_read_what_is_read_here(monkeypatch):
    monkeypatch.setattr("mmlib.batches.usable_cores", lambda: 3)
    data, parts = Items(Theirs(luck=True)), torch.arange(40).split(7)
    draws = torch.rand(40, DRAWS, generator=torch.Generator().manual_seed(0))
    with reading(data, "cuda") as read:
        found = loaded(data, parts, "cpu", draws, read)
        for one, other in zip(found, loaded(data, parts, "cpu", draws), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_targets_that_are_given_save_the_first_look():
    theirs = Theirs()
    read = []
    theirs.form = lambda inputs, target, i: read.append(i) or (inputs, target)
    data = Items(Subset(theirs, range(10)), target=theirs.rows.target[:10])
    assert not read and len(data) == 10
    data.take(torch.tensor([3]))
    assert read == [3] and data[4][2] == 4


class Endless(IterableDataset):
    def __iter__(self):
        return iter(Theirs())

    def __len__(self):
        return 3


def uneven(inputs, target, i):
    return {"audio": inputs["audio"][: 3 + i % 2]}, target


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Items(Endless()), "Endless has no length or no items by number"),
        (lambda: Items(TensorDataset(*torch.zeros(2, 3, 4))), r"item 0 of TensorDataset is \(Tens"),
        (lambda: Items(DataLoader(Theirs())), "DataLoader has no length or no items by"),
        (lambda: Items(Theirs(form=lambda x, y, i: x)), "item 0 of Theirs is dict; give a pair of"),
        (
            lambda: Items(Theirs(form=lambda x, y, i: (x, "cat"))),
            "item 0 is not of tensors and a w",
        ),
        (
            lambda: Items(Theirs(form=lambda x, y, i: (x, y + 0.5))),
            "item 0 is not of tensors and a whole number",
        ),
        (
            lambda: Items(Theirs(form=uneven)).take(torch.arange(2)),
            "items .0, 1. do not make a bat",
        ),
    ],
)
def test_another_form_is_told(make, words):
    with pytest.raises(ValueError, match=words):
        make()

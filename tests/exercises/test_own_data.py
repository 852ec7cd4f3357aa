"""Answers that the checks take, and wrong ones with the hint that each gets."""

import time

import torch

from answers import (  # noqa: F401
    test_right_started_and_empty,
    test_wrong_answers_get_their_hint,
)
from mmlib.exercises import check_own_data


class OwnData:
    modalities, classes, split = ("audio", "visual"), ("a", "b", "c"), "train"

    def __init__(self, count=12):
        self.target = torch.arange(count) % 3
        self.values = torch.randn(count, 5, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.target)

    def take(self, index, draws=None):
        x = self.values[index] if draws is None else self.values[index] + draws[:, :5]
        return {"audio": x, "visual": 2 * x}

    def finish(self, inputs, draws=None):
        return {m: x.float() for m, x in inputs.items()}


def take_by_place(self, index, draws=None):
    self.place = index  # as one open file has one place
    time.sleep(0.002)
    return OwnData.take(self, self.place, draws)


def own_data(**members):
    return lambda: type("Own", (OwnData,), members)()


def with_shares(self):
    OwnData.__init__(self)
    self.target = self.target / 3


def take_sorted(self, index, draws=None):
    return OwnData.take(self, index.sort().values, draws)


def take_noisy(self, index, draws=None):
    return {m: x + torch.rand(()) for m, x in OwnData.take(self, index, draws).items()}


def take_anew(self, index, draws=None):
    g = torch.Generator()
    g.seed()
    noise = 0 if draws is None else torch.rand((), generator=g)
    return {m: x + noise for m, x in OwnData.take(self, index).items()}


def take_seeded(self, index, draws=None):
    torch.manual_seed(999)
    return OwnData.take(self, index, draws)


def take_by_first_row(self, index, draws=None):
    return OwnData.take(self, index, draws if draws is None else draws[:1].expand(len(index), -1))


def finish_in_place(self, inputs, draws=None):
    return {m: x.add_(1) for m, x in inputs.items()}


def finish_by_batch(self, inputs, draws=None):
    return {m: x - x.mean(0) for m, x in inputs.items()}


RIGHT = {
    check_own_data: own_data(),
}

WRONG = [
    (check_own_data, own_data(take=take_sorted), "in the order of index"),
    (check_own_data, own_data(finish=finish_by_batch), "no sample depends"),
    (check_own_data, own_data(take=take_by_first_row), "not the first to all"),
    (check_own_data, own_data(finish=finish_in_place), "changes its inputs"),
    (check_own_data, own_data(take=take_by_place), "two threads"),
    (
        check_own_data,
        own_data(finish=lambda self, inputs, draws=None: tuple(inputs.values())),
        "finish gives a dict",
    ),
    (check_own_data, own_data(classes=3), "tuple of names, not 3"),
    (check_own_data, own_data(modalities="audio"), "tuple of names"),
    (check_own_data, own_data(split=None), "split is to be a string"),
    (check_own_data, own_data(take=take_noisy), "without draws"),
    (check_own_data, own_data(take=take_anew), "the same draws"),
    (check_own_data, own_data(take=take_seeded), "global generator"),
    (check_own_data, own_data(modalities=("audio", "text")), "dict with the keys"),
    (check_own_data, own_data(inputs={}), "taken for one in memory"),
    (check_own_data, own_data(__init__=with_shares), "target is to be an int64"),
    (check_own_data, own_data(classes=("a",)), "labels in"),
    (check_own_data, lambda: object(), "has no modalities"),
    (
        check_own_data,
        own_data(take=lambda self, index, draws=None: OwnData.take(self, index * 0)),
        "equal|alone",
    ),
    (
        check_own_data,
        own_data(finish=lambda self, inputs, draws=None: {m: x.half() for m, x in inputs.items()}),
        "float32",
    ),
]

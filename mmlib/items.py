"""A PyTorch data set that gives one sample at a time, as a data set of the course."""

import operator
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from mmlib.batches import Inputs


class Items:
    """A map-style `Dataset` whose items are `(inputs, target)` or `(inputs, target, index)`.

    `inputs` is a dict from modality to a tensor or an array, of the same shape in every item;
    `target` a whole number. A batch is read when it is asked for. The targets, `(N,)`, are
    collected by reading every item once, unless you give them. What an item draws from the global
    generators of PyTorch, NumPy and Python depends in training on `fit`'s seed, the epoch and the
    sample alone, and is the same each time in evaluation. (What it draws from a generator of its
    own does not.) On the CPU items are read between the steps, on a GPU by processes.

    Raises `ValueError` for a data set without length and for an item of another form.
    """

    one_by_one = True  # draws from global generators, so no threads

    def __init__(self, dataset: Dataset, target: Tensor | Sequence[int] | None = None):
        known = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
        if not known or isinstance(dataset, IterableDataset):
            raise ValueError(
                f"{type(dataset).__name__} has no length or no items by number; give a data set "
                "that has"
            )
        self.dataset = dataset
        if target is None:
            target = [self._item(i)[1] for i in range(len(dataset))]
        self.target = torch.as_tensor(target)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Inputs, Tensor, int]:
        return self._item(index)[0], self.target[index], index

    def take(self, index: Tensor, draws: Tensor | None = None) -> Inputs:
        """The items `index`, `(B,)`, one below the other; `draws`, `(B, DRAWS)`, in training."""
        luck = [None] * len(index) if draws is None else draws
        found = [self._item(i, own)[0] for i, own in zip(index.tolist(), luck, strict=True)]
        try:
            return {m: torch.stack([inputs[m] for inputs in found]) for m in found[0]}
        except (KeyError, RuntimeError) as error:
            raise ValueError(
                f"items {index.tolist()} do not make a batch: {error}; give all the same "
                "modalities and shapes"
            ) from error

    def finish(self, inputs: Inputs, draws: Tensor | None = None) -> Inputs:
        """Nothing is left to do."""
        return inputs

    def _item(self, i: int, draws: Tensor | None = None) -> tuple[Inputs, int]:
        with _drawing(draws):
            item = self.dataset[i]
        if not isinstance(item, Sequence) or len(item) < 2 or not isinstance(item[0], Mapping):
            raise ValueError(
                f"item {i} of {type(self.dataset).__name__} is {_kinds(item)}; give a pair of "
                "inputs, a dict such as {'audio': tensor}, and target"
            )
        try:
            return {m: torch.as_tensor(x) for m, x in item[0].items()}, operator.index(item[1])
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"item {i} is not of tensors and a whole number: {error}") from error


def _kinds(item: Any) -> str:
    if not isinstance(item, (tuple, list)):
        return type(item).__name__
    return f"({', '.join(type(part).__name__ for part in item)})"


@contextmanager
def _drawing(draws: Tensor | None) -> Iterator[None]:
    """The CPU's global generators, old ones too, started by a sample's draws; then as before."""
    first, second = (0.0, 0.0) if draws is None else draws[:2].tolist()
    seed = int(first * 2**24) << 8 | int(second * 2**8)  # 32 bits, all that NumPy takes
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    torch.default_generator.manual_seed(seed)  # not CUDA's, which a forked process may not touch
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])

"""What all data sets share that are read from files when a batch is taken."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmlib.arguments import one_of
from mmlib.batches import DRAWS
from mmlib.data.reading.cache import Cache, cache_folder
from mmlib.data.reading.folders import folder_of
from mmlib.data.reading.lists import SPLITS, Entry


class FromFiles:
    """Their length, one finished sample, a raw batch, and the error where a split is empty.

    A data set sets `modalities` and `classes`, by `_open` `root` and `split`, and by `_keep` `ids`,
    `target` `(N,)` and its cache. It says how to read sample i, `_read(i, draws)` with `(DRAWS,)`
    draws or `None` (or how to `take` a batch), how to finish a batch (crop, flip, normalise) on the
    device where it is, `finish(inputs, draws)`, and where its files are, `sources(i)`. Several
    threads may call them at a time.
    """

    modalities: tuple[str, str]
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    root: Path
    split: str
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.split!r}, {len(self):,} samples)"

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index is {index}; the split holds {len(self)} samples")
        index %= len(self)
        inputs = self.finish(self.take(torch.tensor([index])))
        return {m: x[0] for m, x in inputs.items()}, self.target[index], index

    def take(self, index: Tensor, draws: Tensor | None = None) -> dict[str, Tensor]:
        """The raw batch of these samples on the CPU, in compact types; `draws` `(B, DRAWS)`.

        Raises `FileNotFoundError` for a missing file, `ValueError` for a broken one or for draws of
        another shape.
        """
        check_draws(index, draws)
        rows = [None] * len(index) if draws is None else draws.cpu()
        read = [self._read(i, row) for i, row in zip(index.tolist(), rows, strict=True)]
        return {m: torch.stack([sample[m] for sample in read]) for m in self.modalities}

    def _open(self, root: str | Path, split: str, what: str) -> None:
        self.split = one_of("split", split, SPLITS)
        self.root = folder_of(root, what)

    def _keep(
        self, entries: Sequence[Entry], cache: str | Path | bool | None, recipe: Mapping
    ) -> None:
        """Take over a split's entries; a cache of `recipe` in the folder that `cache` says."""
        if not entries:
            raise ValueError(f"split {self.split!r} of {self.root} is empty; its lists hold none")
        self.ids = tuple(entry.id for entry in entries)
        self.target = torch.tensor([entry.target for entry in entries], dtype=torch.int64)
        self._cache = Cache(cache_folder(self.root, cache), recipe)


def check_draws(index: Tensor, draws: Tensor | None) -> None:
    """Raises `ValueError` for draws that are not a row of `DRAWS` numbers an index."""
    if draws is not None and draws.shape != (len(index), DRAWS):
        raise ValueError(f"draws has shape {tuple(draws.shape)}; expected {(len(index), DRAWS)}")

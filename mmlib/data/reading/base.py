"""What all data sets share that are read from files when a batch is taken."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmlib.arguments import one_of
from mmlib.batches import DRAWS
from mmlib.data.reading.cache import Cache, cache_folder
from mmlib.data.reading.folders import folder_of
from mmlib.data.reading.lists import SPLITS, Entry, WrongList
from mmlib.data.reading.missing import MISSING, Dropped, without_missing


class FromFiles:
    """Their length, one finished sample, a raw batch, and the error where a split is empty.

    A data set sets `modalities` and `classes`, by `_open` `root` and `split`, and by `_keep` `ids`,
    `target` `(N,)` and its cache. It says how to read sample i, `_read(i, draws)` with `(DRAWS,)`
    draws or `None` (or how to `take` a batch), how to finish a batch (crop, flip, normalise) on the
    device where it is, `finish(inputs, draws)`, and where its files are, `sources(i)` and, of an
    entry of its lists, `_needs(entry)`. Several threads may call them at a time.

    All data sets take `missing`. With `"error"` a file that is missing is an error when it is read.
    With `"drop"` a split is opened without the samples that lack one, or have a pointer or nothing
    in its place; `dropped` says how many. Training and validation are told apart before, so that no
    sample moves from one to the other with the files that are there. A class of which no sample is
    left is an error in training, and stands in `dropped` for the other splits.
    """

    modalities: tuple[str, str]
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    root: Path
    split: str
    target: Tensor
    dropped: Dropped | None = None  # with `missing="drop"`

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

    def _open(self, root: str | Path, split: str, what: str, missing: str) -> None:
        self.split = one_of("split", split, SPLITS)
        self.root = folder_of(root, what)
        self._drop = one_of("missing", missing, MISSING) == "drop"

    def _keep(
        self, entries: Sequence[Entry], cache: str | Path | bool | None, recipe: Mapping
    ) -> None:
        """Take over a split's entries; a cache of `recipe` in the folder that `cache` says."""
        if not entries:
            raise WrongList(f"split {self.split!r} of {self.root} is empty; its lists hold none")
        self._entries = self._whole(entries)
        self.ids = tuple(entry.id for entry in self._entries)
        self.target = torch.tensor([entry.target for entry in self._entries], dtype=torch.int64)
        self._cache = Cache(cache_folder(self.root, cache), recipe)

    def _whole(self, entries: Sequence[Entry], split: str | None = None) -> list[Entry]:
        """The entries of a split (this one), with `missing="drop"` those that lack no file."""
        if not self._drop:
            return list(entries)
        name = split or self.split
        what = f"split {name!r} of {self.root}"
        kept, dropped = without_missing(entries, self._needs, self.classes, what)
        if dropped.emptied and name == "train":
            raise FileNotFoundError(
                f"all samples of class {dropped.emptied[0]} in {what} lack a file; get some of "
                "them, or take the class out of the lists"
            )
        self.dropped = dropped if name == self.split else self.dropped
        return kept

    def _needs(self, entry: Entry) -> list[Path]:
        """The files, and folders of frames, without which a sample cannot be read."""
        raise NotImplementedError


def check_draws(index: Tensor, draws: Tensor | None) -> None:
    """Raises `ValueError` for draws that are not a row of `DRAWS` numbers an index."""
    if draws is not None and draws.shape != (len(index), DRAWS):
        raise ValueError(f"draws has shape {tuple(draws.shape)}; expected {(len(index), DRAWS)}")

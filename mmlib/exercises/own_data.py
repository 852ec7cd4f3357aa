"""The last check of lesson 8: a data set of one's own against what `mmlib.batches` asks for."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from mmlib.batches import DRAWS, loaded
from mmlib.exercises.checking import call, exercise, has_keys, no_global_draws


@exercise("Exercise 5, a data set of your own")
def check_own_data(answer: Callable[[], object]) -> None:
    """Lesson 8: `answer()` is a data set as `mmlib.batches` asks for one, read as it is needed."""
    data = call(answer)
    _described(data)
    index = torch.tensor([5, 0, 3, 7])
    draws = torch.rand(4, DRAWS, generator=torch.Generator().manual_seed(0))
    with no_global_draws("a global generator was used: take what is random from draws"):
        rest, again, drawn, drawn_again = (
            _finished(data, index, d) for d in (None, None, draws, draws)
        )
        hint = "without draws the same index gives another batch: nothing is random"
        assert _alike(rest, again), hint
        hint = "the same draws give another batch: take what is random from draws"
        assert _alike(drawn, drawn_again), hint
    raw = data.take(index, None)
    twice = [data.finish(dict(raw), None) for _ in range(2)]
    assert _alike(*twice), "finish gives another batch the second time"
    for row, i in enumerate(index.tolist()):
        for found, d, reason in (
            (rest, None, "rows come in the order of index, and no sample depends on the others"),
            (drawn, draws, "each row of draws belongs to its sample, not the first to all"),
        ):
            d = None if d is None else d[row : row + 1]
            alone = data.finish(data.take(torch.tensor([i]), d), d)
            same = _alike({m: x[row : row + 1] for m, x in found.items()}, alone)
            assert same, f"sample {i} in a batch is not sample {i} alone: {reason}"
    differs = any(not torch.equal(x[0], x[1]) for x in rest.values())
    assert differs, "samples 5 and 0 are equal: does take use index?"
    parts = torch.arange(min(len(data), 32)).split(2)
    alone = [_finished(data, part, None) for part in parts]
    for _ in range(3):
        for (inputs, _, _), wanted in zip(loaded(data, parts), alone, strict=True):
            assert _alike(inputs, wanted), (
                "two threads read at a time, and then batches come out wrong: keep no open "
                "file's place and no scratch tensor in the data set, make them in take"
            )


def _described(data: object) -> None:
    """It has what a data set says about itself."""
    for name in ("modalities", "classes", "target", "split", "take", "finish", "__len__"):
        assert hasattr(data, name), f"the data set has no {name}"
    hint = "a data set with `inputs` is taken for one in memory; leave it out"
    assert not hasattr(data, "inputs"), hint
    for name in ("modalities", "classes"):
        value = getattr(data, name)
        names = isinstance(value, Iterable) and not isinstance(value, str) and list(value)
        assert names, f"{name} is to be a tuple of names, not {value!r}"
    text = isinstance(data.split, str)
    assert text, f"split is to be a string such as 'train', not {data.split!r}"
    count, target = len(data), data.target
    whole = isinstance(target, Tensor) and target.dtype == torch.int64 and target.shape == (count,)
    assert whole, f"target is to be an int64 tensor of shape ({count},)"
    inside = count >= 8 and 0 <= int(target.min()) <= int(target.max()) < len(data.classes)
    assert inside, "eight samples or more, and labels in 0..len(classes) - 1"


def _finished(data: object, index: Tensor, draws: Tensor | None) -> dict[str, Tensor]:
    """A batch through take and finish, with what each of the two has to give."""
    keys = tuple(data.modalities)
    raw = call(data.take, index, draws)
    has_keys(raw, keys, f"take gives a dict with the keys {keys}")
    changed = "finish changes its inputs: work on a copy, or not in place"
    found = call(data.finish, raw, draws, unchanged=changed)
    assert isinstance(found, dict), "finish gives a dict, a modality's name to its tensor"
    for m, x in found.items():
        typed = x.dtype in (torch.float32, torch.int64) and len(x) == len(index)
        assert typed, f"{m}: finish gives float32 (text: int64), a row an index"
        assert torch.isfinite(x).all(), f"{m} holds values that are not finite"
    has_keys(found, keys, f"finish gives a dict with the keys {keys}")
    return found


def _alike(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(a[m].shape == b[m].shape and torch.allclose(a[m], b[m], atol=1e-4) for m in a)

"""What the checks of all lessons share. A check calls, compares and says what is wrong:

@exercise("Exercise 3, a batch without its mean")
def check_centred(answer: Callable[[Tensor], Tensor]) -> None:
    \"\"\"Lesson 5: `answer(x)` is `x` less its mean, `(B,)`.\"\"\"
    x = torch.tensor([1.0, 2.0, 6.0])
    given = call(answer, x)
    mistakes = {
        "the sign is turned": x.mean() - x,
        "the mean is still there": x,
        "not x minus its mean": ...,
    }
    compare(given, x - x.mean(), mistakes)
"""

import functools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

CHECKS: dict[str, Callable] = {}  # every check by its name; the package exports them


class NotStarted(Exception):
    """The function still returns `...`."""


def exercise(title: str):
    """Report what a check found under the exercise's title, and keep the check in `CHECKS`."""

    def decorate(check: Callable):
        @functools.wraps(check)
        def report(answer: Callable) -> None:
            if not __debug__:
                raise RuntimeError("the checks are assertions: start Python without -O")
            try:
                check(answer)
            except NotStarted:
                print(f"{title}: not started (it still returns ...)")
            else:
                print(f"{title}: passed")

        CHECKS[check.__name__] = report
        return report

    return decorate


STOPS = (AttributeError, KeyError, RuntimeError, TypeError, IndexError)


def call(answer: Callable, *arguments, hints={}, none=False, unchanged=""):  # noqa: B006
    """What `answer` returns; `NotStarted` for `...`. An error in it becomes an `AssertionError`.

    `hints` goes from a class of errors to the hint before its message. With `none`, None is an
    answer, too. `unchanged` is the hint where an argument is another one afterwards.
    """
    before = _content(arguments) if unchanged else []
    try:
        result = answer(*arguments)
    except (*STOPS, *hints) as error:
        hint = next((f"{hint}: " for kind, hint in hints.items() if isinstance(error, kind)), "")
        raise AssertionError(f"{hint}{answer.__name__} stops with {error!r}") from error
    if result is ... or (isinstance(result, tuple) and any(part is ... for part in result)):
        raise NotStarted
    assert none or result is not None, f"{answer.__name__} returns None: does it end with `return`?"
    assert not unchanged or _content(arguments) == before, unchanged
    return result


def _content(x):
    """What `x` holds, to be compared with what it holds later; a generator is always itself."""
    if isinstance(x, dict | list | tuple):
        return [_content(part) for part in (x.items() if isinstance(x, dict) else x)]
    if isinstance(x, Tensor | np.ndarray):
        return x.shape, torch.as_tensor(x).detach().double().numpy().tobytes()
    return x


def agrees(given, wanted, atol: float = 1e-5) -> bool:
    """Same shape and the same numbers."""
    given, wanted = torch.as_tensor(given).double(), torch.as_tensor(wanted).double()
    return given.shape == wanted.shape and torch.allclose(given, wanted, atol=atol)


def compare(given, wanted, mistakes: Mapping, atol: float = 1e-5) -> None:
    """Pass where `given` agrees with `wanted`; else say which of the usual mistakes gives it.

    `mistakes` goes from a hint to the value that this mistake gives, to a tuple of several, or,
    for the last hint, to `...`: anything else. Raises `AssertionError` with the hint.
    """
    if agrees(given, wanted, atol):
        return
    for hint, values in mistakes.items():
        for wrong in values if isinstance(values, tuple) else (values,):
            assert wrong is not ... and not agrees(given, wrong, atol), hint


def has_shape(given, shape: Sequence[int], text: str) -> Tensor:
    """`given` as a tensor; `AssertionError` with `text`, the shape found for its {}, if not so."""
    given = torch.as_tensor(given)
    assert given.shape == torch.Size(shape), text.format(tuple(given.shape))
    return given


def has_keys(given, keys: Iterable[str], hint: str) -> None:
    """`AssertionError` with `hint` if `given` is not a dict with these keys."""
    assert isinstance(given, dict) and set(given) == set(keys), hint


def normal(*shape: int, seed: int = 0, **options) -> Tensor:
    """Normal numbers, the same each time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), **options)


def small_batch() -> tuple[dict[str, Tensor], Tensor]:
    """Logits `(6, 4)` of two modalities and of both, and a target `(6,)`."""
    logits = dict(zip(("audio", "visual", "fused"), 2 * normal(3, 6, 4, seed=1), strict=True))
    return logits, torch.tensor([0, 3, 1, 2, 2, 0])


def _global_states() -> tuple:
    return torch.random.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002


@contextmanager
def no_global_draws(hint: str) -> Iterator[None]:
    """Raise `AssertionError` with `hint` if a global generator moves meanwhile."""
    before = _content(_global_states())
    yield
    assert _content(_global_states()) == before, hint


@contextmanager
def seeded_globally(seed: int) -> Iterator[None]:
    """Seed the three global generators, and put them back afterwards."""
    before = _global_states()
    try:
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        yield
    finally:
        torch.random.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])

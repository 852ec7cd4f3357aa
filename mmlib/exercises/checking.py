"""What the checks of all lessons share."""

import functools
import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


class NotStarted(Exception):
    """The function still returns `...`."""


def exercise(title: str):
    """Report what a check found under the exercise's title."""

    def decorate(check: Callable):
        @functools.wraps(check)
        def report(answer: Callable) -> None:
            try:
                check(answer)
            except NotStarted:
                print(f"{title}: not started (it still returns ...)")
            else:
                print(f"{title}: passed")

        return report

    return decorate


def result_of(answer: Callable, *arguments):
    """What `answer` returns; `NotStarted` for `...`, `AssertionError` for None."""
    result = answer(*arguments)
    if result is ... or (isinstance(result, tuple) and any(part is ... for part in result)):
        raise NotStarted
    if result is None:
        raise AssertionError(f"{answer.__name__} returns None: does it end with `return`?")
    return result


def agrees(result, wanted) -> bool:
    """Same shape and the same numbers."""
    result, wanted = torch.as_tensor(result).double(), torch.as_tensor(wanted).double()
    return result.shape == wanted.shape and torch.allclose(result, wanted, atol=1e-5)


def call(answer: Callable, *arguments):
    """`result_of`, with what usually stops a shape or a name said as a hint."""
    try:
        return result_of(answer, *arguments)
    except (AttributeError, KeyError, RuntimeError, TypeError, IndexError) as error:
        raise AssertionError(f"{answer.__name__} stops with {error!r}") from error


def small_batch() -> tuple[dict[str, Tensor], Tensor]:
    """Logits `(6, 4)` of two modalities and of both, and a target `(6,)`."""
    generator = torch.Generator().manual_seed(1)
    logits = {m: torch.randn(6, 4, generator=generator) * 2 for m in ("audio", "visual", "fused")}
    return logits, torch.tensor([0, 3, 1, 2, 2, 0])


def global_states() -> tuple:
    """Where the three global generators stand."""
    return torch.random.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002


def set_global_states(states: tuple) -> None:
    """Put the three global generators back."""
    torch.random.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])


def same_states(a: tuple, b: tuple) -> bool:
    """Nothing was drawn between the two."""
    numbers = [(state[1][1].tolist(), state[1][2:]) for state in (a, b)]
    return torch.equal(a[0], b[0]) and numbers[0] == numbers[1] and a[2] == b[2]

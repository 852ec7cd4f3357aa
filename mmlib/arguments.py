"""What is wrong with an argument, in one sentence."""

from collections.abc import Iterable, Sequence
from operator import ge, gt, le, lt
from typing import Any


def whole_number(name: str, value: int, at_least: int) -> int:
    """`value`, if it is a whole number of at least `at_least`; otherwise a `ValueError`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < at_least:
        raise ValueError(f"{name} is {value!r}; give a whole number of at least {at_least}")
    return int(value)


def one_of(name: str, value: Any, known: Sequence) -> Any:
    """`value`, if it is one of `known`; otherwise a `ValueError` that names them."""
    if value not in known:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(str, known))}")
    return value


def known_names(flag: str, given: Iterable[str], known: Sequence[str], whose: str) -> None:
    """Raises `ValueError` for a name that is not among those which `whose` takes."""
    for name in given:
        if name not in known:
            raise ValueError(f"{flag} has {name!r}; {whose} takes {', '.join(known)}")


def number(
    name: str,
    value: float,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> float:
    """`value`, if it is a number within the limits that are given; otherwise a `ValueError`."""
    limits = {"above": (above, gt), "of at least": (at_least, ge)}
    limits |= {"of at most": (at_most, le), "below": (below, lt)}
    asked = {word: limit for word, limit in limits.items() if limit[0] is not None}
    if not all(holds(value, limit) for limit, holds in asked.values()):
        words = " and ".join(f"{word} {limit}" for word, (limit, _) in asked.items())
        raise ValueError(f"{name} is {value}; give a number {words}")
    return value

"""What is wrong with an argument, in one sentence."""

from collections.abc import Sequence
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

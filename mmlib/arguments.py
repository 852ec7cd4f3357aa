"""What is wrong with an argument, in one sentence."""

import ast
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import ge, gt, le, lt
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

LARGEST_SEED = 10**12  # PyTorch's own limit, after a run has made one of it for each epoch

SWITCHES = ("true", "false", "none", "null", "yes", "no", "on", "off")  # in any case
WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
WORDS |= {NoneType: "None", Sequence: "a list", Callable: "a function"}


def value_of(text: str) -> Any:
    """What a word of the command line means: as JSON or as Python writes it, else the text itself.

    Raises `ValueError` for an empty text, and for another spelling of `True`, `False` or `None`.
    """
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
            json.dumps(value)  # not a set, not bytes
            return value
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            pass
    if not text.strip():
        raise ValueError("the value is empty; give one, or leave the option out")
    if text.strip().lower() in SWITCHES:
        raise ValueError(f"{text!r} is no value; give True, False or None, or the text in quotes")
    return text


def check_kinds(function: Callable, options: Mapping[str, Any]) -> None:
    """Raise `ValueError` for an option that is not of the kind that `function` annotates."""
    hints = get_type_hints(function)
    for name, value in options.items():
        kinds = get_args(hints.get(name, Any))
        if get_origin(hints.get(name)) not in (Union, UnionType):
            kinds = (hints.get(name, Any),)
        if not any(_is_of(value, kind) for kind in kinds):
            words = [WORDS[k] for k in (get_origin(k) or k for k in kinds) if k in WORDS]
            raise ValueError(f"{name} is {value!r}; give {' or '.join(words)}")


def _is_of(value: Any, kind: Any) -> bool:
    if kind is Any or isinstance(value, bool) or kind is bool:
        return kind is Any or (kind is bool and isinstance(value, bool))
    if kind is float:
        return _is_number(value, or_infinity=False)
    if get_origin(kind) is Sequence:
        return isinstance(value, (list, tuple)) and all(_is_of(x, get_args(kind)[0]) for x in value)
    return value != "" and isinstance(value, get_origin(kind) or kind)


def whole_number(name: str, value: int, at_least: int, or_none: bool = False) -> int | None:
    """`value`, if it is a whole number of at least `at_least` (`or_none`: or `None`); otherwise a
    `ValueError`."""
    if value is None and or_none:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < at_least:
        raise ValueError(f"{name} is {value!r}; give a whole number of at least {at_least}")
    return int(value)


def checked_seed(seed: int) -> int:
    """`seed`, if a run can go by it; otherwise a `ValueError`."""
    if whole_number("seed", seed, at_least=0) > LARGEST_SEED:
        raise ValueError(f"seed is {seed}; give {LARGEST_SEED} at most")
    return int(seed)


def one_of(name: str, value: Any, known: Sequence) -> Any:
    """`value`, if it is one of `known`; otherwise a `ValueError` that names them."""
    if value not in known:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(str, known))}")
    return value


def known_names(flag: str, given: Iterable[str], known: Sequence[str], whose: str) -> None:
    """Raises `ValueError` for a name that is not among those which `whose` takes."""
    for name in given:
        if name not in known:
            raise ValueError(f"{flag} has {name!r}; {whose} takes {', '.join(known) or 'none'}")


def switch(name: str, value: bool) -> bool:
    """`value`, if it is `True` or `False`; otherwise a `ValueError`, for a text would count as
    true."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; give True or False")
    return value


def number(
    name: str,
    value: float,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    or_none: bool = False,
    or_infinity: bool = False,
) -> float | None:
    """`value`, if it is a number within the limits that are given; otherwise a `ValueError`.

    NaN is none, nor is `True`, nor a text; `or_none` and `or_infinity` allow these.
    """
    if value is None and or_none:
        return None
    limits = {"above": (above, gt), "of at least": (at_least, ge)}
    limits |= {"of at most": (at_most, le), "below": (below, lt)}
    asked = {word: limit for word, limit in limits.items() if limit[0] is not None}
    fits = _is_number(value, or_infinity)
    if not fits or not all(holds(value, limit) for limit, holds in asked.values()):
        words = " and ".join(f"{word} {limit}" for word, (limit, _) in asked.items())
        raise ValueError(f"{name} is {value!r}; give a number {words}".rstrip())
    return value


def _is_number(value: Any, or_infinity: bool) -> bool:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return False
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # several numbers; too large a one
        return False
    return math.isfinite(found) or (or_infinity and found == math.inf)


def numbers(
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    **values: float,
) -> None:
    """Several options with the same limits, see `number`."""
    for name, value in values.items():
        number(name, value, above, at_least, at_most)


def by_name(name: str, values: Mapping[str, float] | None, known: Sequence[str]) -> dict:
    """A number of at least 0 for some of the modalities `known`; otherwise a `ValueError`."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} is {values!r}; give a number for each of {', '.join(known)}")
    for key, value in values.items():
        number(f"{name} of {one_of(f'a modality of {name}', key, known)}", value, at_least=0)
    return dict(values)


def whole_numbers(name: str, values: Sequence[int] | None, at_least: int) -> tuple | None:
    """Whole numbers, none or several, or `None`; otherwise a `ValueError`."""
    if values is None:
        return None
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ValueError(
            f"{name} is {values!r}; give a list of whole numbers, such as [{at_least}]"
        )
    return tuple(whole_number(f"a number of {name}", value, at_least) for value in values)

"""What is wrong with an argument is one sentence, which names it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mmlib.arguments import check_kinds, known_names, number, one_of, value_of, whole_number


@pytest.mark.parametrize("value", [3, np.int64(3), torch.tensor(3)])
def test_a_whole_number_of_any_kind_comes_back_as_pythons(value):
    assert type(whole_number("size", value, at_least=3)) is int


@pytest.mark.parametrize("value", [2, 3.0, True, "3", None])
def test_what_is_none_is_named(value):
    with pytest.raises(ValueError, match="^size is .*; give a whole number of at least 3$"):
        whole_number("size", value, at_least=3)


def test_one_of_those_that_are_known():
    assert one_of("kind", "a", ("a", 2)) == "a"
    with pytest.raises(ValueError, match="^kind is 'b'; choose one of a, 2$"):
        one_of("kind", "b", ("a", 2))


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), torch.tensor(0.5)])
def test_a_number_of_any_kind_comes_back_as_it_is(value):
    assert number("alpha", value, at_least=0, at_most=1) is value


@pytest.mark.parametrize(
    "value", ["abc", math.nan, math.inf, True, None, [], 10**400, torch.ones(2)]
)
def test_what_is_no_number_is_named(value):
    with pytest.raises(ValueError, match="^alpha is .*; give a number of at least 0$"):
        number("alpha", value, at_least=0)


MEANINGS = {
    "True": True,
    "true": True,
    "False": False,
    "false": False,
    "None": None,
    "null": None,
    "3": 3,
    "1e-3": 1e-3,
    ".5": 0.5,
    "[1, 2]": [1, 2],
    "(70, 140)": (70, 140),
    "{'audio': 0.4}": {"audio": 0.4},
    '{"audio": 0.4}': {"audio": 0.4},
    "'off'": "off",
    '"off"': "off",
    "di-mml": "di-mml",
    "C:\\data": "C:\\data",
    "b'x'": "b'x'",
    "{1}": "{1}",
    "[" * 100_000: "[" * 100_000,
    "nan": "nan",  # a text, which no number is
}


@pytest.mark.parametrize("text", MEANINGS, ids=lambda text: text[:9])
def test_a_word_means_what_json_and_python_say(text):
    value = value_of(text)
    assert value == MEANINGS[text] and type(value) is type(MEANINGS[text])


@pytest.mark.parametrize("text", ["", " ", "FALSE", "TRUE", "off", "No", "yes", "NULL", "none"])
def test_a_word_that_may_mean_several_things(text):
    with pytest.raises(ValueError, match="is empty; give|give True, False or None, or the text in"):
        value_of(text)


def annotated(
    aligned: bool = True,
    classes: int | Sequence[str] = 31,
    cache: str | Path | bool | None = None,
    fps: float = 1.0,
    tokenizer: Callable[[str], int] | None = None,
    free=None,
):
    """As a data set's options are."""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"aligned": "abc"}, "^aligned is 'abc'; give True or False$"),
        ({"aligned": 1}, "aligned is 1; give True or False"),
        ({"classes": "abc"}, "classes is 'abc'; give a whole number or a list$"),
        ({"classes": True}, "classes is True"),
        ({"classes": [1]}, r"classes is \[1\]"),
        ({"cache": 3}, "cache is 3; give a text or True or False or None"),
        ({"cache": ""}, "cache is ''"),
        ({"fps": math.nan}, "fps is nan; give a number"),
        ({"tokenizer": "abc"}, "tokenizer is 'abc'; give a function or None"),
    ],
)
def test_an_option_of_another_kind(options, words):
    with pytest.raises(ValueError, match=words):
        check_kinds(annotated, options)


def test_an_option_of_its_kind():
    check_kinds(
        annotated, {"aligned": False, "classes": ["a"], "cache": False, "fps": 2, "free": 1}
    )
    check_kinds(annotated, {"classes": 3, "cache": "there", "tokenizer": len})
    check_kinds(annotated, {"cache": Path("there"), "tokenizer": None})


def test_a_name_where_none_is_known():
    with pytest.raises(ValueError, match="--data-options has 'size'; av-digits takes none"):
        known_names("--data-options", ["size"], (), "av-digits")

"""What is wrong with an argument is one sentence, which names it."""

import numpy as np
import pytest
import torch

from mmlib.arguments import one_of, whole_number


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

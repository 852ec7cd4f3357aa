"""Every option of every method and control says what it takes: nothing else is taken for it."""

import inspect
import math

import pytest

import toys
from mmlib.methods import NAMED

NEED = {"boosting-heavier": {"loss_weights": {"audio": 2.0}}}
NEED |= {"boosting-fixed": {"start": {"visual": 2}}}
# of none of the options a value
WRONG = ("abc", "", "3", math.nan, -1, 10**400, {"audio": "x"}, {"oops": 1}, {"audio": -1})
DATA = toys.whole(toys.Lazy(".", "train"))


def options_of(name):
    """The options of a method's class and of those that it builds on, and `initialisation`."""
    found = {"initialisation"}
    for kind in NAMED[name][1].__mro__[:-1]:
        for option in inspect.signature(kind).parameters.values():
            if option.kind in (option.POSITIONAL_OR_KEYWORD, option.KEYWORD_ONLY):
                found.add(option.name)
    return sorted(found - {"model", "epochs", "dataset"})


def make(name, **options):
    options = NEED.get(name, {}) | options
    return toys.make(name, DATA, encoder=toys.Flat, **options)


HUGE = ("accumulate", "modulated_epochs", "warmup", "every")  # counts that are never reached


@pytest.mark.parametrize("name", NAMED)
def test_a_wrong_kind_is_refused_by_name(name):
    for option in options_of(name):
        for value in WRONG:
            if value == 10**400 and option in HUGE:
                continue
            with pytest.raises(ValueError, match=option):
                make(name, **{option: value})


@pytest.mark.parametrize("name", ["joint", "ogm-ge", "valuation-modality", "cal", "detached"])
def test_a_switch_is_no_number_nor_a_number_a_switch(name):
    for option in set(options_of(name)) - {"noise"}:
        with pytest.raises(ValueError, match=option):
            make(name, **{option: True})
    for value in (0, 1, 1.0, None, "False", []):
        with pytest.raises(
            ValueError, match=f"noise is {value!r}; give True or False".split("[")[0]
        ):
            make("ogm-ge", noise=value)


@pytest.mark.parametrize("name", ["joint", "detached", "cal", "boosting", "gap", "valuation"])
def test_infinity_is_no_number_but_where_it_means_equal_weights(name):
    for option in set(options_of(name)) - {"certainty_temperature"}:
        with pytest.raises(ValueError, match=option):
            make(name, **{option: math.inf})
    assert make("detached", certainty_temperature=math.inf).model.certainty_temperature == math.inf


def test_what_is_told():
    for name, options, words in (
        ("joint", {"decay_at": 5}, "decay_at is 5; give a list of whole numbers, such as"),
        ("joint", {"decay_at": [1, "x"]}, "a number of decay_at is 'x'; give a whole number"),
        ("ogm-ge", {"alpha": "abc"}, "alpha is 'abc'; give a number of at least 0"),
        ("ogm-ge", {"modulated_epochs": "abc"}, "modulated_epochs is 'abc'; give a whole number"),
        ("boosting-heavier", {"loss_weights": {"sound": 2}}, "a modality of loss_weights is 'sou"),
        ("boosting", {"fusion_weights": {"sound": 2}}, "'sound'; choose one of audio, visual"),
        ("boosting", {"fusion_weights": 2}, "fusion_weights is 2; give a number for each of aud"),
    ):
        with pytest.raises(ValueError, match=words):
            make(name, **options)
    assert make("joint", decay_at=[]).decay_at == ()  # never

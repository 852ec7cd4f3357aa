"""The tests that every lesson's file in tests/exercises imports: its checks on its answers."""

import sys

import numpy as np
import pytest
from scipy import stats

from mmlib.exercises import checking


def test_right_started_and_empty(answered, capsys):
    """The check takes the answer, waits for one that is only started, and names a lost return."""
    check, answer = answered
    check(answer)
    assert capsys.readouterr().out.endswith(": passed\n")
    check(lambda *_: ...)
    assert "not started" in capsys.readouterr().out

    def forgot(*_):
        pass

    with pytest.raises(AssertionError, match="forgot returns None"):
        check(forgot)


def test_wrong_answers_get_their_hint(refused):
    check, answer, hint = refused
    with pytest.raises(AssertionError, match=hint):
        check(answer)


def test_every_known_mistake_gets_its_own_hint(monkeypatch, request):
    """Every value in a check's tables of mistakes leads to the hint beside it, in some case."""
    told, compare = {}, checking.compare

    def said(*arguments):
        try:
            compare(*arguments)
        except AssertionError as error:
            return str(error)

    def spy(given, wanted, mistakes, atol=1e-5):
        compare(given, wanted, mistakes, atol)
        for hint, values in mistakes.items():
            for wrong in values if isinstance(values, tuple) else (values,):
                if wrong is not ...:
                    told[hint] = told.get(hint) or said(wrong, wanted, mistakes, atol) == hint

    for check, answer in request.module.RIGHT.items():
        monkeypatch.setattr(sys.modules[check.__module__], "compare", spy, raising=False)
        check(answer)
    assert told
    assert not [hint for hint, found in told.items() if not found]


def interval(a, b):
    d = np.asarray(a) - np.asarray(b)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return d.mean(), d.mean() - half, d.mean() + half

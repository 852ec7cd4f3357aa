"""Scores against hand counts, chance levels and closed forms; bad input."""

import numpy as np
import pytest
import torch

import toys
from mmlib.evaluation import (
    accuracy,
    calibration_error,
    collect,
    linear_probe,
    macro_f1,
    mean_average_precision,
    paired_interval,
    probe_encoders,
    reliability,
)

LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.0, 1.0, 2.0], [4.0, 0.0, 1.0]])
SCORES = (accuracy, macro_f1, mean_average_precision)


def test_by_hand():
    target = torch.tensor([0, 1, 2, 2])  # predictions 0 1 2 0
    assert accuracy(LOGITS, target) == pytest.approx(3 / 4)
    # F1: class 0 has precision 1/2, recall 1; class 1 is perfect; class 2 precision 1, recall 1/2
    assert macro_f1(LOGITS, target) == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)


@pytest.mark.parametrize("metric", SCORES)
def test_perfect_is_one(metric):
    target = torch.tensor([0, 1, 2, 1])
    assert metric(torch.eye(3)[target] * 5, target) == pytest.approx(1)


def test_mean_average_precision_by_hand_for_two_classes():
    logits = torch.tensor([[3.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    # class 0 ranks its one sample second: 1/2; class 1: last sample first, first sample last
    assert mean_average_precision(logits, torch.tensor([1, 0, 1])) == pytest.approx(
        (1 / 2 + (1 + 2 / 3) / 2) / 2
    )


def test_a_class_that_does_not_occur_does_not_count():
    assert mean_average_precision(LOGITS[:2], torch.tensor([0, 1])) == pytest.approx(1)


@pytest.mark.parametrize("metric", SCORES)
@pytest.mark.parametrize(
    ("logits", "target", "words"),
    [
        (LOGITS, torch.tensor([0, 1]), "same length"),
        (LOGITS, torch.tensor([0, 1, 2, 3]), r"whole numbers in 0\.\.2"),
        (LOGITS, torch.tensor([0, 1, 2, -1]), r"whole numbers in 0\.\.2"),
        (LOGITS, torch.tensor([0.0, 1.0, 2.0, 1.0]), "whole numbers"),
        (LOGITS / torch.tensor([[1.0], [1.0], [0.0], [1.0]]), torch.tensor([0, 1, 2, 1]), "NaN"),
        (LOGITS[:0], torch.tensor([], dtype=torch.long), "N > 0"),
    ],
)
def test_bad_input(metric, logits, target, words):
    with pytest.raises(ValueError, match=words):
        metric(logits, target)


def test_linear_probe_reads_what_is_there_and_nothing_else():
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (600,), generator=generator)
    noise = torch.randn(600, 8, generator=generator)
    planted = noise + 6 * torch.nn.functional.one_hot(target, 8)
    assert linear_probe(planted[:300], target[:300], planted[300:], target[300:]) > 0.98
    chance = linear_probe(noise[:300], target[:300], noise[300:], target[300:])
    assert chance == pytest.approx(0.25, abs=0.1)


def test_linear_probe_bad_input():
    x, y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    with pytest.raises(ValueError, match="test_features are .* same length"):
        linear_probe(x, y, x[:3], y)
    with pytest.raises(ValueError, match="train_features hold NaN"):
        linear_probe(x / 0, y, x, y)


def test_paired_interval_covers_as_often_as_it_says():
    generator = np.random.default_rng(0)
    noise, shared = generator.normal(size=(2000, 5)), generator.normal(size=(2000, 5))
    hits = 0
    for own, common in zip(noise, shared):
        mean, low, high = paired_interval(common + own + 0.3, common)
        assert low < mean < high
        hits += low < 0.3 < high
    assert hits / 2000 == pytest.approx(0.95, abs=0.015)


def test_paired_interval_bad_input():
    with pytest.raises(ValueError, match="at least two pairs"):
        paired_interval([1.0], [1.0])
    with pytest.raises(ValueError, match="a has 2 values and b 3"):
        paired_interval([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="level is 95"):
        paired_interval([1, 2], [1, 3], level=95)


def test_reliability_and_calibration_error_by_hand():
    p = torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.45, 0.55], [0.4, 0.6]])
    target = torch.tensor([0, 1, 1, 0])
    found = reliability(p.log(), target, bins=10)
    # (0.9, 1] holds two samples, one of them right
    assert found["share"][9] == 0.5 and found["accuracy"][9] == 0.5
    assert found["certainty"][9] == pytest.approx(0.95)
    assert found["share"].sum() == 1 and found["accuracy"][0].isnan()
    # of four bins (0.5, 0.75] holds 0.55 and 0.6, one of them right
    wanted = 0.5 * abs(0.5 - 0.95) + 0.5 * abs(0.5 - 0.575)
    assert calibration_error(p.log(), target, bins=2) == pytest.approx(abs(0.5 - 0.7625))
    assert calibration_error(p.log(), target, bins=4) == pytest.approx(wanted)
    sure = torch.eye(3)[torch.tensor([0, 1, 2, 0])] * 100
    assert calibration_error(sure, torch.tensor([0, 1, 2, 1])) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="bins is 0"):
        reliability(p.log(), target, bins=0)


def test_probes_and_collect_read_lazy_data():
    lazy, test = toys.Lazy(".", "train"), toys.Lazy(".", "test")
    model = toys.make("joint", lazy).model
    wanted = probe_encoders(model, toys.whole(lazy), toys.whole(test))
    assert probe_encoders(model, lazy, test) == wanted
    features = collect(model.features, lazy, batch_size=7)
    torch.testing.assert_close(features, collect(model.features, toys.whole(lazy)))

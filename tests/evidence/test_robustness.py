"""The noise table's conditions and scores."""

import pytest
import torch

from mmlib.data import AVDigits
from mmlib.devices import seeded
from mmlib.encoders import SmallCNN
from mmlib.evaluation import accuracy, collect
from mmlib.evidence.robustness import attacked, by_certainty, corrupted_sets, under_corruption
from mmlib.methods import make_method


@pytest.fixture(scope="module")
def test_data():
    return AVDigits("test", size=60)


@pytest.fixture(scope="module")
def method(test_data):
    with seeded(0):
        encoders = {m: SmallCNN() for m in test_data.modalities}
    return make_method("joint-unimodal", encoders, 10, epochs=1)


def test_every_condition_hits_its_modalities_and_no_other(test_data):
    sets = dict(corrupted_sets(test_data, range(2)))
    assert len(sets) == 20  # 4 at two severities, 2 dropped, twice
    for name, data in sets.items():
        for m in test_data.modalities:
            changed = (data.inputs[m] != test_data.inputs[m]).flatten(1).any(1).float().mean()
            wanted = 0.5 if m in name or "both" in name else 0.0
            assert changed == pytest.approx(wanted, abs=0.25 * (wanted > 0)), (name, m)
    first, again = (sets[f"visual gaussian, 10, seed {s}"].truth["corrupted"] for s in (0, 1))
    assert not torch.equal(first, again)


@pytest.mark.slow
def test_scores_hold_each_condition_and_attack(method, test_data):
    sets = list(corrupted_sets(test_data, range(1)))
    scores = under_corruption(method, test_data, sets)
    logits = collect(method.predict, test_data)
    assert scores["fused clean"] == accuracy(logits["fused"], test_data.target)
    assert scores["certain clean"] == accuracy(by_certainty(logits), test_data.target)
    assert {f"fused {name}" for name, _ in sets} <= set(scores)
    assert {
        f"fused {w} {a}, {s}" for w in ("audio", "both") for a in ("fgsm", "pgd") for s in (5, 10)
    } <= set(scores)
    assert all(0 <= x <= 1 for x in scores.values())


def test_an_attack_stays_within_its_size_and_moves_one_modality(method, test_data):
    inputs, target = attacked(method, test_data, ("visual",), 10, steps=5)
    moved = (inputs["visual"] - test_data.inputs["visual"]).abs().max().item()
    assert moved == pytest.approx(0.1 * test_data.inputs["visual"].std().item(), rel=1e-3)
    assert torch.equal(inputs["audio"], test_data.inputs["audio"])
    assert torch.equal(target, test_data.target)
    loss = [
        torch.nn.functional.cross_entropy(method.predict(x)["fused"], target).item()
        for x in (test_data.inputs, inputs)
    ]
    assert loss[1] > loss[0]

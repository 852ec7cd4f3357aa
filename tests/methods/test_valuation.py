"""Sample valuation: the identities of the Shapley value, the re-sampling rules, the plans."""

from itertools import combinations, permutations

import pytest
import torch
from sklearn.metrics import roc_auc_score

from mmlib.data import AVDigits
from mmlib.devices import seeded
from mmlib.encoders import SmallCNN, TextEncoder
from mmlib.evaluation import collect
from mmlib.methods import make_method
from mmlib.methods.valuation import (
    contributions,
    resample_copies,
    resample_rate,
    shapley_values,
)
from mmlib.training import fit

# c (both right), c_a, c_v, phi_a, phi_v, copies that keep audio, copies that keep visual
CASES = torch.tensor(
    [
        [1, 1, 1, 1.0, 1.0, 0, 0],
        [1, 1, 0, 1.5, 0.5, 0, 1],
        [1, 0, 1, 0.5, 1.5, 1, 0],
        [1, 0, 0, 1.0, 1.0, 0, 0],
        [0, 1, 1, 0.0, 0.0, 2, 2],
        [0, 1, 0, 0.5, -0.5, 1, 3],
        [0, 0, 1, -0.5, 0.5, 3, 1],
        [0, 0, 0, 0.0, 0.0, 2, 2],
    ]
)


def logits_with(bits):
    """Two-class logits that are right, for target 0, where `bits` is 1."""
    return torch.stack([bits, 1 - bits], 1)


def game(players, generator, size=6):
    """A random game for each of `size` samples."""
    sets = [frozenset(c) for k in range(1, len(players) + 1) for c in combinations(players, k)]
    return {c: torch.randn(size, generator=generator) for c in sets}


def valuation(data, modalities=("audio", "visual"), epochs=4, name="valuation", **options):
    with seeded(0):
        encoders = {m: SmallCNN() for m in modalities}
    return make_method(name, encoders, 10, epochs, dataset=data, **options)


@pytest.fixture(scope="module")
def data():
    return AVDigits("train", "corrupted", size=300)


@pytest.fixture(scope="module")
def three(data):
    """The same with a third modality, the picture seen from the right."""
    more = AVDigits("train", size=120)
    more.inputs["rear"] = more.inputs["visual"].flip(3)
    return more


def test_all_eight_cases():
    c, c_a, c_v = CASES[:, :3].T
    logits = {"audio": logits_with(c_a), "visual": logits_with(c_v), "fused": logits_with(c)}
    phi = contributions(logits, torch.zeros(8, dtype=torch.long))
    assert torch.equal(phi["audio"], CASES[:, 3]) and torch.equal(phi["visual"], CASES[:, 4])
    copies = resample_copies(phi)
    assert torch.equal(copies["audio"], CASES[:, 5].long())
    assert torch.equal(copies["visual"], CASES[:, 6].long())


@pytest.mark.parametrize("players", ["a", "av", "avt", "avtd"])
def test_shapley_values_are_means_over_orders_and_efficient(players):
    v = game(players, torch.Generator().manual_seed(len(players)))
    phi = shapley_values(v)
    torch.testing.assert_close(sum(phi.values()), v[frozenset(players)])
    orders = list(permutations(players))
    for m in players:
        wanted = 0
        for order in orders:
            before = frozenset(order[: order.index(m)])
            gain = v[before | {m}] - (v[before] if before else 0)
            wanted = wanted + gain / len(orders)
        torch.testing.assert_close(phi[m], wanted)


def test_shapley_symmetry_and_dummy():
    v = {frozenset(c): torch.tensor([float("a" in c or "b" in c)]) for c in ("a", "b", "c")}
    v |= {frozenset(c): torch.tensor([1.0]) for c in ("ab", "ac", "bc", "abc")}
    phi = shapley_values(v)
    assert phi["a"] == phi["b"] == 0.5 and phi["c"] == 0


def test_range_for_three_modalities_of_the_head_counting_pay_off():
    low, high = 0.0, 0.0
    for bits in range(128):
        sets = [frozenset(c) for k in (1, 2, 3) for c in combinations("avt", k)]
        v = {c: torch.tensor([float(len(c) * (bits >> i & 1))]) for i, c in enumerate(sets)}
        phi = shapley_values(v)["a"].item()
        low, high = min(low, phi), max(high, phi)
    assert low == pytest.approx(-1) and high == pytest.approx(2)  # -(n - 1) / 2, (n + 1) / 2


def test_identities_on_random_logits():
    generator = torch.Generator().manual_seed(3)
    z = {m: torch.randn(200, 4, generator=generator) for m in ("audio", "visual", "fused")}
    target = torch.randint(0, 4, (200,), generator=generator)
    right = {m: (z[m].argmax(1) == target).float() for m in z}
    phi = contributions(z, target)
    assert torch.equal(phi["audio"] + phi["visual"], 2 * right["fused"])
    assert torch.equal(phi["audio"] - phi["visual"], right["audio"] - right["visual"])


def test_rate():
    assert resample_rate({"audio": 1.3, "visual": 0.7}) == ("visual", pytest.approx(0.4))
    assert resample_rate({"audio": 0.7, "visual": 1.0}, 0.5) == ("audio", pytest.approx(0.1))
    assert resample_rate({"audio": 1.0, "visual": 1.0})[1] == 0
    assert resample_rate({"audio": 2.0, "visual": 0.0}, alpha=9)[1] == 1
    assert resample_copies({"a": torch.tensor([0.75, 1.25, -1.0])})["a"].tolist() == [1, 0, 4]
    with pytest.raises(ValueError, match="phi holds NaN"):
        resample_copies({"a": torch.tensor([torch.nan])})
    assert resample_rate({"a": 1.2, "b": 0.8, "c": 0.4}) == ("c", pytest.approx(0.3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: resample_rate({"audio": 1.0}), "two modalities or more"),
        (lambda: resample_rate({"audio": 1.0, "visual": float("nan")}), "two modalities or more"),
        (lambda: resample_rate({"audio": 1.0, "visual": 0.5}, -1), "alpha is -1"),
        (lambda: shapley_values({}), "lacks every set"),
        (
            lambda: shapley_values(
                {frozenset("a"): torch.ones(2)} | {frozenset("b"): torch.ones(2)}
            ),
            "lacks .*a . b",
        ),
        (
            lambda: contributions({"audio": torch.zeros(2, 3)}, torch.zeros(2).long()),
            "give 'fused'",
        ),
        (
            lambda: contributions(
                dict.fromkeys(("fused", "audio", "visual"), torch.zeros(2, 3)),
                torch.zeros(3).long(),
            ),
            "same length",
        ),
        (
            lambda: make_method("valuation", {"audio": SmallCNN()}, 10, 1),
            "give make_method a dataset",
        ),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"name": "valuation-modality", "share": 0}, "share is 0; give a number above 0"),
        ({"warmup": -1}, "warmup is -1; give a whole number of at least 0"),
    ],
)
def test_bad_settings(option, words, data):
    with pytest.raises(ValueError, match=words):
        valuation(data, **option)


def test_a_tiny_data_set_is_still_valued():
    few = AVDigits("train", size=4)
    history = fit(valuation(few, name="valuation-modality", epochs=2), few, 2, 4, progress=False)
    assert history[1]["looked_at"] == 1


def test_the_plan_follows_the_valuation(data):
    method = valuation(data)
    assert method.plan(0) is None  # warm-up
    plan = method.plan(1)
    phi = contributions(collect(method.predict, data), data.target)
    copies = resample_copies(phi)
    assert plan.looked_at == 300
    assert torch.equal(plan.index[:300], torch.arange(300))
    assert all(kept[:300].all() for kept in plan.keep.values())
    for m, other in (("audio", "visual"), ("visual", "audio")):
        alone = plan.keep[m] & ~plan.keep[other]
        assert torch.equal(plan.index[alone].bincount(minlength=300), copies[m])
    assert len(plan.index) == 300 + sum(count.sum() for count in copies.values())
    assert len(method.plan(2).index) == len(plan.index)  # copies never pile up


def test_modality_level_looks_at_a_fifth_and_copies_the_weaker_alone(data):
    method = valuation(data, name="valuation-modality", epochs=3)
    fit(method, data, 3, 32, progress=False)
    with seeded(5):
        plan = method.plan(2)
    with seeded(5):
        drawn = torch.randint(300, (60,))
    phi = {m: value.mean() for m, value in method.valuate(drawn).items()}
    weak, rate = resample_rate(phi)
    other = {"audio": "visual", "visual": "audio"}[weak]
    assert plan.looked_at == 60 and plan.keep[weak].all() and len(plan.index) > 300
    assert len(plan.index) - 300 == int(rate * 300) == (~plan.keep[other]).sum()


def test_no_sample_to_copy(data, monkeypatch):
    method = valuation(data, epochs=2)
    fair = {m: torch.ones(300) for m in ("audio", "visual")}
    monkeypatch.setattr(method, "valuate", lambda index: {m: x[index] for m, x in fair.items()})
    assert torch.equal(method.plan(1).index, torch.arange(300))
    history = fit(method, data, 2, 100, progress=False)
    assert [row["samples"] for row in history] == [300, 300]
    assert history[1]["looked_at"] == 300


def test_a_masked_copy_moves_one_encoder_only(data):
    method = valuation(data)
    before = {name: p.clone() for name, p in method.model.named_parameters()}
    inputs, target = {m: x[:8] for m, x in data.inputs.items()}, data.target[:8]
    keep = {"audio": torch.zeros(8, dtype=torch.bool), "visual": torch.ones(8, dtype=torch.bool)}
    method.step(inputs, target, torch.arange(8), keep)
    moved = {
        name for name, p in method.model.named_parameters() if not torch.equal(p, before[name])
    }
    assert not any(name.startswith("encoders.audio") for name in moved)
    assert any(name.startswith("encoders.visual") for name in moved)
    weight = dict(method.model.named_parameters())["head.weight"]
    decayed = before["head.weight"] * (1 - method.lr * 1e-4)
    torch.testing.assert_close(weight[:, :64], decayed[:, :64])  # no gradient but weight decay
    assert not torch.allclose(weight[:, 64:], decayed[:, 64:])


@pytest.mark.parametrize("name", ["valuation", "valuation-mean"])
def test_a_masked_feature_leaves_no_trace_in_batch_statistics(name, data):
    inputs, target = {m: x[:16] for m, x in data.inputs.items()}, data.target[:16]
    keep = {"audio": torch.arange(16) < 8, "visual": torch.ones(16, dtype=torch.bool)}
    changed = inputs | {"audio": inputs["audio"].clone()}
    changed["audio"][8:] = 100.0  # in the masked rows
    statistics = []
    for x in (inputs, changed):
        method = valuation(data, name=name)
        if name == "valuation-mean":
            method.measure_fillers()
        method.step(x, target, torch.arange(16), keep)
        statistics.append(method.model.encoders["audio"].layers[2].running_mean.clone())
    assert torch.equal(*statistics)


def test_text_is_masked_too(data):
    texts = torch.randint(0, 20, (300, 6), generator=torch.Generator().manual_seed(0))
    both = AVDigits("train", size=300)
    both.inputs = {"text": texts, "audio": both.inputs["audio"]}
    with seeded(0):
        encoders = {"text": TextEncoder(20), "audio": SmallCNN()}
    method = make_method("valuation", encoders, 10, 2, dataset=both)
    assert fit(method, both, 2, 64, progress=False)[1]["samples"] > 300


def test_three_modalities(three):
    method = valuation(three, ("audio", "visual", "rear"), epochs=3)
    history = fit(method, three, 3, 32, progress=False)
    assert history[1]["looked_at"] == 120 and history[1]["samples"] > 120
    phi = method.valuate(torch.arange(120))
    right = (collect(method.predict, three)["fused"].argmax(1) == three.target).float()
    torch.testing.assert_close(sum(phi.values()), 3 * right)
    plan = method.plan(2)
    kept = torch.stack(list(plan.keep.values())).sum(0)
    assert set(kept[:120].tolist()) == {3} and set(kept[120:].tolist()) == {1}


def test_a_class_that_is_missing(data):
    few = AVDigits("train", size=120)
    there = few.target != 3
    few.inputs = {m: x[there] for m, x in few.inputs.items()}
    few.target = few.target[there]
    few.__class__ = type("Fewer", (AVDigits,), {"__len__": lambda self: len(self.target)})
    method = valuation(few, epochs=2)
    history = fit(method, few, 2, 32, progress=False)
    assert history[1]["samples"] >= len(few)


def test_planted_ruins_are_found():
    """Where only the ruined modality errs, a low contribution is a perfect finder."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (400,), generator=generator)
    ruined = torch.rand(400, generator=generator) < 0.3
    truth = torch.nn.functional.one_hot(target, 4).float()
    wrong = truth.roll(1, 1)
    z = {"audio": truth, "visual": torch.where(ruined[:, None], wrong, truth), "fused": truth}
    phi = contributions(z, target)
    assert roc_auc_score(ruined, -phi["visual"]) == 1
    assert roc_auc_score(ruined, -phi["audio"]) == 0

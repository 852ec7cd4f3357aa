"""Sustained boosting: the losses' algebra, the assignment rule, growth, and what stands still."""

import copy

import pytest
import torch
import torch.nn.functional as F

from mmlib.data import AVDigits
from mmlib.devices import seeded
from mmlib.encoders import SmallCNN
from mmlib.methods import make_method
from mmlib.methods.boosting import (
    BoostedFusion,
    boosting_loss,
    residual_loss,
    weaker_modality,
)
from mmlib.training import fit


@pytest.fixture(scope="module")
def data():
    return AVDigits("train", size=128)


@pytest.fixture
def stages():
    generator = torch.Generator().manual_seed(0)
    return list(torch.randn(3, 6, 4, generator=generator).requires_grad_())


TARGET = torch.tensor([0, 1, 2, 3, 0, 1])


def method(name="boosting", modalities=("audio", "visual"), epochs=6, **options):
    with seeded(0):
        encoders = {m: SmallCNN() for m in modalities}
    return make_method(name, encoders, 10, epochs, **options)


def counts(trained):
    return {m: len(first) for m, first in trained.model.first.items()}


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_residual_loss_is_cross_entropy_against_the_residual_label(smoothing, stages):
    new, previous = stages[2], stages[0] + stages[1]
    y = F.one_hot(TARGET, 4)
    label = y - smoothing * y * previous.detach().softmax(1)
    torch.testing.assert_close(
        residual_loss(new, previous, TARGET, smoothing), F.cross_entropy(new, label)
    )


def test_no_gradient_reaches_the_earlier_classifiers_through_the_label(stages):
    residual_loss(stages[1], stages[0], TARGET, 0.5).backward(inputs=stages[:2])
    assert stages[0].grad is None and stages[1].grad is not None


def test_boosting_loss_is_the_sum_of_its_terms(stages):
    everything, previous = sum(stages), stages[0] + stages[1]
    wanted = {
        "residual": residual_loss(stages[2], previous, TARGET, 0.5),
        "all": F.cross_entropy(everything, TARGET),
        "previous": F.cross_entropy(previous, TARGET),
    }
    torch.testing.assert_close(boosting_loss(stages, TARGET, 0.5), sum(wanted.values()))
    torch.testing.assert_close(
        boosting_loss(stages[:1], TARGET, 0.5), F.cross_entropy(stages[0], TARGET)
    )


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ({"audio": 0.60, "visual": 0.50}, "visual"),
        ({"audio": 0.50, "visual": 0.60}, "audio"),
        ({"audio": 0.504, "visual": 0.50}, None),
        ({"audio": 0.50, "visual": 0.504}, None),
        ({"audio": 0.5, "visual": 0.5}, None),
        ({"audio": 0.0, "visual": 0.0}, None),
        ({"audio": 0.1, "visual": 0.0}, "visual"),
        ({"audio": 0.5, "visual": 0.5, "text": 0.4}, "text"),
    ],
)
def test_assignment_rule(scores, wanted):
    assert weaker_modality(scores) == wanted


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: weaker_modality({"audio": 0.5}), "two modalities or more"),
        (lambda: weaker_modality({"audio": 0.5, "visual": float("nan")}), "scores >= 0"),
        (lambda: weaker_modality({"audio": 0.5, "visual": -0.1}), "scores >= 0"),
        (lambda: boosting_loss([], TARGET, 0.5), "stage_logits is empty"),
        (
            lambda: boosting_loss([torch.zeros(6, 4)], TARGET, 1.2),
            "smoothing is 1.2; give a number of at least 0 and of at most 1",
        ),
        (lambda: residual_loss(*torch.zeros(2, 6, 4), TARGET, -0.1), "smoothing is -0.1"),
        (lambda: residual_loss(*torch.zeros(2, 6, 3), TARGET, 0.5), r"0\.\.2"),
        (
            lambda: residual_loss(torch.full((6, 4), torch.nan), torch.zeros(6, 4), TARGET, 0.5),
            "NaN",
        ),
        (lambda: method(smoothing=2), "smoothing is 2"),
        (lambda: method(every=0), "every is 0"),
        (lambda: method().add_classifier("smell"), "modality is 'smell'; choose one of audio"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_classifier_moves_the_logits_of_its_modality_only(data):
    trained = method()
    before = trained.predict(data.inputs)
    trained.add_classifier("visual")
    after = trained.predict(data.inputs)
    assert torch.equal(before["audio"], after["audio"])
    assert not torch.allclose(before["visual"], after["visual"])
    torch.testing.assert_close(after["fused"], after["audio"] + after["visual"])


def test_size_of_a_classifier_with_the_widths_of_the_paper():
    encoders = {m: SmallCNN(features=512) for m in ("audio", "visual")}
    new = BoostedFusion(encoders, 6).add_classifier("visual", torch.Generator())
    assert sum(p.numel() for p in new.parameters()) == 131_328


def test_fusion_weights():
    model = BoostedFusion({m: SmallCNN() for m in ("audio", "visual")}, 10).eval()
    model.weights = {"audio": 0.4, "visual": 0.6}
    with torch.no_grad():
        z = model({m: torch.randn(3, 1, 32, 32) for m in ("audio", "visual")})
    torch.testing.assert_close(z["fused"], 0.4 * z["audio"] + 0.6 * z["visual"])


def test_new_parameters_are_in_the_optimiser(data):
    trained = method(lr=0.1)
    trained.plan(3)
    trained.add_classifier("visual")
    new = trained.model.first["visual"][-1]
    groups = {id(p) for group in trained.optimizer.param_groups for p in group["params"]}
    assert all(id(p) in groups for p in new.parameters())
    before = new.weight.detach().clone()
    trained.plan(3)
    assert len({group["lr"] for group in trained.optimizer.param_groups}) == 1
    trained.step(data.inputs, data.target, torch.arange(128))
    assert not torch.equal(new.weight, before)


def test_one_classifier_is_the_base(data):
    weights = []
    for options in ({"every": None}, {"every": 2, "dead_zone": 1e9}):
        trained = method(epochs=3, **options)
        fit(trained, data, 3, 32, progress=False)
        assert counts(trained) == {"audio": 1, "visual": 1}
        weights.append(torch.cat([p.detach().flatten() for p in trained.model.parameters()]))
    assert torch.equal(*weights)


def test_growth_in_its_epochs_and_to_the_weaker(data):
    trained = method(every=2)
    grown = []
    for epoch in range(6):
        trained.scores = {"audio": 2.0, "visual": 1.0}
        trained.plan(epoch)
        grown.append(counts(trained)["visual"])
    assert grown == [1, 2, 3, 3, 4, 4]
    assert counts(trained)["audio"] == 1


def test_no_classifier_to_add(data):
    trained = method(every=1)
    for scores in ({"audio": 0.0, "visual": 0.0}, {"audio": 3.0, "visual": 3.0}):
        trained.scores = scores
        trained.plan(1)
    assert counts(trained) == {"audio": 1, "visual": 1}


def test_updates_alternate(data):
    """The picture's update sees the second layer that the sound's update has moved."""
    trained, by_hand = method(lr=0.1), method(lr=0.1)
    trained.plan(0)
    by_hand.plan(0)
    trained.step(data.inputs, data.target, torch.arange(128))
    model, optimizer = by_hand.model.train(), by_hand.optimizer
    features = model.features(data.inputs)
    for m in ("audio", "visual"):
        still = {n: p.clone() for n, p in model.named_parameters() if f"encoders.{m}" not in n}
        optimizer.zero_grad()
        F.cross_entropy(model.stages(m, features[m])[0], data.target).backward()
        optimizer.step()
        others = [n for n in still if n.startswith("encoders.")]
        assert all(torch.equal(dict(model.named_parameters())[n], still[n]) for n in others)
    for (name, a), b in zip(
        trained.model.state_dict().items(), model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b, msg=name)


def test_confidence_is_the_mean_probability_of_the_truth(data):
    trained = method()
    with torch.no_grad():
        z = trained.model.train()(data.inputs)
    log = trained.step(data.inputs, data.target, torch.arange(128))
    p = z["audio"].softmax(1).gather(1, data.target[:, None])
    assert log["confidence_audio"].item() == pytest.approx(p.mean().item(), rel=1e-4)
    assert trained.scores["audio"] == pytest.approx(p.sum().item(), rel=1e-4)


def test_three_modalities_and_masked_ones(data):
    inputs = data.inputs | {"rear": data.inputs["visual"].flip(3)}
    trained = method(modalities=("audio", "visual", "rear"), every=1)
    keep = {m: torch.arange(128) % 3 != i for i, m in enumerate(inputs)}
    with torch.no_grad():
        z = copy.deepcopy(trained.model).train()(inputs, keep)
    log = trained.step(inputs, data.target, torch.arange(128), keep)
    kept = F.cross_entropy(z["audio"][keep["audio"]], data.target[keep["audio"]])
    torch.testing.assert_close(log["objective_audio"], kept)  # the first to be updated
    nothing = keep | {"rear": torch.zeros(128, dtype=torch.bool)}
    with pytest.raises(ValueError, match="rear is masked in a whole batch"):
        trained.step(inputs, data.target, torch.arange(128), nothing)
    trained.scores = {"audio": 3.0, "visual": 2.0, "rear": 1.0}
    trained.plan(1)
    assert counts(trained) == {"audio": 1, "visual": 1, "rear": 2}


def test_a_resumed_run_knows_which_momentum_is_whose(data):
    trained, again = method(lr=0.1), method(lr=0.1)
    for modality in ("visual", "audio", "visual"):
        trained.add_classifier(modality)
        trained.step(data.inputs, data.target, torch.arange(128))
    again.load_state_dict(copy.deepcopy(trained.state_dict()))
    for either in (trained, again):
        either.step(data.inputs, data.target, torch.arange(128))
    for a, b in zip(trained.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_growth_leaves_the_global_generator_alone():
    trained = method()
    torch.manual_seed(7)
    wanted = torch.rand(2)
    torch.manual_seed(7)
    trained.add_classifier("visual")
    assert torch.equal(torch.rand(2), wanted)


def test_a_class_that_is_missing(data):
    there = data.target != 3
    inputs = {m: x[there] for m, x in data.inputs.items()}
    trained = method()
    trained.add_classifier("visual")
    log = trained.step(inputs, data.target[there], torch.arange(int(there.sum())))
    assert all(torch.isfinite(value) for value in log.values())

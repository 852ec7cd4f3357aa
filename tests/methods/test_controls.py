"""Each control changes exactly the thing that its docstring says; the rest is its method's."""

import inspect

import pytest
import torch
import torch.nn.functional as F

from mmlib.data import AVDigits
from mmlib.devices import seeded
from mmlib.encoders import SmallCNN
from mmlib.evaluation import collect
from mmlib.methods import METHODS, NAMED, cal_formulas, controls, gap_mixture, make_method
from mmlib.methods.boosting import residual_loss
from mmlib.methods.gap import GapMixture, shift_term, true_score
from mmlib.training import fit
from toys import rows, stop_after

NAMES = NAMED
NEED = {"boosting-heavier": {"loss_weights": {"visual": 3.0}}}
NEED |= {"boosting-fixed": {"start": {"visual": 4}}}
FIRST = list(METHODS).index("joint-late")  # of the controls among them
CHANGED = (*list(METHODS)[FIRST:], *controls.CONTROLS)


@pytest.fixture(scope="module")
def data():
    return AVDigits("train", "corrupted", size=128)


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return [z.requires_grad_() for z in 2 * torch.randn(2, 6, 4, generator=generator)]


TARGET = torch.tensor([0, 1, 2, 3, 0, 1])


def method(name, data=None, epochs=4, **options):
    with seeded(0):
        encoders = {m: SmallCNN() for m in ("audio", "visual")}
    return make_method(name, encoders, 10, epochs, dataset=data, **NEED.get(name, {}) | options)


def bare(name, **options):
    return method(name, rows(128), **options)


def two_gaussians(mean=(0.1, 0.6), variance=(0.01, 0.04), weight=(0.5, 0.5)):
    parts = (torch.tensor(x, dtype=torch.float64) for x in (mean, variance, weight))
    return GapMixture(*parts, bic={1: 1.0, 2: 0.0}, separation=3.0, degenerate=False)


def weights(trained):
    return torch.cat([p.detach().flatten() for p in trained.model.parameters()])


def classes():
    return sorted({row[1] for row in NAMES.values() if ".controls." in row[1].__module__}, key=str)


@pytest.mark.parametrize("control", classes(), ids=lambda control: control.__qualname__)
def test_a_control_says_what_it_rules_out_and_overrides_little(control):
    said = " ".join(inspect.getdoc(control).split())
    assert control.__doc__ and ("rules out" in said.lower() or "reading" in said)
    lines = len(inspect.getsource(control).splitlines())
    assert lines <= 45, "a control is its method with one thing changed"


def of_module(module):
    return [x for x in vars(module).values() if getattr(x, "__module__", None) == module.__name__]


@pytest.mark.parametrize(
    "thing", [*of_module(cal_formulas), *of_module(gap_mixture)], ids=lambda thing: thing.__name__
)
def test_formulas_that_are_our_reading_say_so(thing):
    """As tests/course/test_readme.py holds of gap and cal themselves."""
    said = " ".join((inspect.getdoc(thing) or "").split()).lower()
    assert thing.__name__.startswith("_") or "our reading" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGED)
def test_a_control_trains_and_resumes(name, data, tmp_path):
    small = AVDigits("train", "corrupted", size=32)
    whole, resumed = (method(name, small, epochs=3, lr=0.05) for _ in range(2))
    fit(whole, small, 3, 16, progress=False)
    path = tmp_path / "checkpoint.pt"
    short = {"checkpoint": path, "after_epoch": stop_after(2), "progress": False}
    fit(method(name, small, epochs=3, lr=0.05), small, 3, 16, **short)
    fit(resumed, small, 3, 16, checkpoint=path, resume=True, progress=False)
    assert torch.equal(weights(whole), weights(resumed))


# the classical methods


def test_modality_dropout_takes_one_modality_of_some_samples(data):
    trained = method("modality-dropout", data, rate=0.5)
    plans = [trained.plan(epoch) for epoch in range(2)]
    lost = [torch.stack([~kept for kept in plan.keep.values()]).sum(0) for plan in plans]
    assert all(x.max() == 1 for x in lost)  # never both
    assert torch.cat(lost).float().mean().item() == pytest.approx(0.5, abs=0.15)
    assert not torch.equal(plans[0].keep["audio"], plans[1].keep["audio"])
    assert all((~kept).any() for plan in plans for kept in plan.keep.values())
    with pytest.raises(ValueError, match="rate is 2; give a number of at least 0"):
        method("modality-dropout", data, rate=2)


# valuation


def test_as_many_copies_of_other_samples(data):
    plans = {}
    for name in ("valuation", "valuation-random-samples", "valuation-random"):
        with seeded(0):
            plans[name] = method(name, data).plan(1)
    assert len({len(plan.index) for plan in plans.values()}) == 1
    chosen, samples, anything = plans.values()
    kept = [plan.keep["audio"].sum() for plan in plans.values()]
    assert kept[0] == kept[1] != kept[2]
    assert not torch.equal(chosen.index, samples.index)
    assert torch.equal(samples.index, anything.index)  # the same draws, but for what is kept


def test_copies_of_no_sample(monkeypatch, data):
    trained = method("valuation-random", data)
    fair = {m: torch.ones(128) for m in ("audio", "visual")}
    monkeypatch.setattr(trained, "valuate", lambda index: fair)
    assert torch.equal(trained.plan(1).index, torch.arange(128))


def test_pay_off_of_1(data):
    base, binary = method("valuation", data), method("valuation-binary", data)
    right = {m: (z.argmax(1) == data.target) for m, z in collect(base.predict, data).items()}
    for trained, both in ((base, 2), (binary, 1)):
        phi = trained.valuate(torch.arange(128))
        assert torch.equal(phi["audio"] + phi["visual"], both * right["fused"].float())
        difference = right["audio"].float() - right["visual"].float()
        assert torch.equal(phi["audio"] - phi["visual"], difference)


@pytest.mark.parametrize("name", ["valuation", "valuation-inputs", "valuation-mean"])
def test_what_a_masked_modality_leaves_behind(name, data):
    trained = method(name, data)
    trained.valuate(torch.arange(10))
    model, inputs = trained.model, {m: x[:6] for m, x in data.inputs.items()}
    at_inputs = name == "valuation-inputs"
    with torch.no_grad():
        keep = {"audio": torch.arange(6) % 2 == 0, "visual": torch.ones(6, dtype=torch.bool)}
        given = trained.logits(inputs, keep)["fused"]
        whole = model(inputs)["fused"]
        x = inputs if at_inputs else model.features(inputs)
        filler = torch.zeros_like(x["audio"][0])
        if name == "valuation-mean":
            filler = collect(model.features, data)["audio"].mean(0)
        masked = x | {"audio": filler.expand_as(x["audio"])}
        wanted = (model if at_inputs else model.classify)(masked)["fused"]
    torch.testing.assert_close(given[::2], whole[::2])
    torch.testing.assert_close(given[1::2], wanted[1::2], rtol=1e-4, atol=1e-5)
    # what it predicts of the picture alone is what its copies train
    alone = trained.predict(inputs)["visual"][1::2]
    torch.testing.assert_close(alone, wanted[1::2], rtol=1e-4, atol=1e-5)


# boosting


def test_frozen_classifiers_stand_still(data):
    trained = method("boosting-frozen", lr=0.1)
    trained.add_classifier("visual")
    new = trained.model.first["visual"][-1]
    groups = {id(p) for group in trained.optimizer.param_groups for p in group["params"]}
    before = new.weight.detach().clone()
    trained.step(data.inputs, data.target, torch.arange(128))
    assert torch.equal(new.weight, before) and id(new.weight) not in groups


def test_a_heavier_loss_and_a_fixed_number(data):
    counts = {m: len(first) for m, first in method("boosting-fixed").model.first.items()}
    assert counts == {"audio": 1, "visual": 4}
    heavy, plain = method("boosting-heavier", lr=0.1), method("boosting-base", lr=0.1)
    logs = [m.step(data.inputs, data.target, torch.arange(128)) for m in (heavy, plain)]
    assert logs[0]["objective_audio"] == logs[1]["objective_audio"]
    with seeded(0):
        start = SmallCNN(), SmallCNN()
    decayed = start[1].layers[0].weight.detach() * (1 - 0.1 * 1e-4)
    moved = [decayed - m.model.encoders["visual"].layers[0].weight.detach() for m in (heavy, plain)]
    torch.testing.assert_close(moved[0], 3 * moved[1], rtol=1e-2, atol=1e-4)


def test_one_term_of_the_boosting_loss():
    stages = list(torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0)))
    first, previous = F.cross_entropy(stages[0], TARGET), stages[0] + stages[1]
    wanted = {
        "boosting-residual": residual_loss(stages[2], previous, TARGET, 0.5),
        "boosting-all": F.cross_entropy(sum(stages), TARGET),
        "boosting-previous": F.cross_entropy(previous, TARGET),
    }
    for name, value in wanted.items():
        trained = method(name)
        torch.testing.assert_close(trained.loss_of(stages, TARGET), value)
        torch.testing.assert_close(trained.loss_of(stages[:1], TARGET), first)
    torch.testing.assert_close(method("boosting").loss_of(stages, TARGET), sum(wanted.values()))


# detached learning


def test_sets_of_dimensions(data):
    found = {}
    for name in ("detached", "detached-permuted", "detached-random"):
        trained = method(name, data)
        with seeded(1):
            trained.measure_dimensions()
        found[name] = trained
        pair = trained.teaches["audio", "visual"], trained.teaches["visual", "audio"]
        assert not (pair[0] & pair[1]).any()
    base = found["detached"]
    for pair, chosen in base.teaches.items():
        other = found["detached-random"].teaches[pair]
        assert other.sum() == chosen.sum() and not torch.equal(other, chosen)
        assert not torch.equal(found["detached-permuted"].teaches[pair], chosen)
    assert torch.equal(found["detached-random"].effective["audio"], base.effective["audio"])


def test_normalised_features_have_length_1_on_the_chosen_dimensions(data):
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 5, 64, generator=generator)
    chosen, pairs = torch.arange(64) % 3 == 0, torch.arange(5)
    unit = [F.normalize(h[:, chosen], dim=1) for h in (student, teacher)]
    wanted = F.cross_entropy(unit[0] @ unit[1].T / 0.5, pairs)
    trained = method("detached-normalised", data, temperature=0.5)
    for scale in (1, 7):
        found = trained.contrast(scale * student, teacher, chosen, pairs)
        torch.testing.assert_close(found, wanted)


# the gap loss


@pytest.mark.parametrize("term", ["gap", "shift"])
def test_one_sided_leaves_the_stronger_head_alone(term, logits):
    first, second = (true_score(z.detach(), TARGET) for z in logits)
    G = bare("gap-one-sided").gap_of(*logits, TARGET)
    torch.testing.assert_close(G, first - second)
    value = G**2 if term == "gap" else shift_term(G, torch.ones(6), two_gaussians())
    value.sum().backward()
    moved = torch.stack([z.grad.abs().sum(1) > 0 for z in logits])
    ahead = first > second
    assert not (moved[0] & ahead).any() and not (moved[1] & ~ahead).any()
    if term == "gap":
        assert torch.equal(moved[0], ~ahead) and torch.equal(moved[1], ahead)
    for z in logits:  # a step against the gradient raises the weaker score
        z.data -= 0.1 * z.grad
    after = torch.minimum(*(true_score(z, TARGET) for z in logits))
    assert (after >= torch.minimum(first, second) - 1e-6).all()


def test_weights_of_the_first_version_and_none():
    r = torch.tensor([0.0, 0.2, 0.9, 1.0])
    fusion, penalty = bare("gap-v1").weights_of(r)
    assert torch.equal(fusion, torch.ones(4)) and torch.equal(penalty, (1 + r) / (1 + r).mean())
    assert all(torch.equal(w, torch.ones(4)) for w in bare("gap-unweighted").weights_of(r))


def test_no_terms_and_no_weights_is_joint_with_unimodal_losses(data):
    off = {"gap_weight": 0.0, "shift_weight": 0.0}
    base, own = method("joint-unimodal"), method("gap-unweighted", data, warmup=0, **off)
    own.mixture, own.posterior, own.index = two_gaussians(), torch.rand(128), torch.arange(128)
    z = own.predict(data.inputs)
    torch.testing.assert_close(own.loss(z, data.target), base.loss(z, data.target))


def test_hard_and_permuted_posterior():
    gap, found = torch.linspace(-0.9, 0.9, 128), {}
    for name in ("gap", "gap-hard", "gap-permuted", "gap-late-permuted"):
        trained = bare(name)
        trained.mixture = two_gaussians()
        with seeded(1):
            found[name] = trained.posterior_of(gap)
    soft, hard, permuted, late = found.values()
    assert torch.equal(hard, (soft > 0.5).float()) and 0 < hard.mean() < 1
    assert torch.equal(permuted.sort().values, soft.sort().values)
    assert not torch.equal(permuted, soft) and torch.equal(permuted, late)


@pytest.mark.parametrize("name", ["gap-purified", "gap-purified-random"])
def test_purification_keeps_as_many_balanced_or_random_samples(name, data, monkeypatch):
    gap = torch.cat([torch.full((64,), 0.1), torch.full((64,), 0.7)]) + 0.05 * torch.randn(128)
    monkeypatch.setattr("mmlib.methods.gap.modality_gap", lambda *_: gap)
    trained = method(name, data, epochs=6, lr=0.1, warmup=0, purify_epochs=2)
    assert [len(trained.plan(e).index) for e in range(4)] == [128] * 4
    with seeded(1):
        plan = trained.plan(4)
    rate = trained.optimizer.param_groups[0]["lr"]
    balanced = trained.posterior < 0.5
    assert rate == pytest.approx(0.01) and plan.looked_at == 128
    assert len(plan.index) == balanced.sum() < 128
    assert balanced[plan.index].all() == (name == "gap-purified")
    again = trained.plan(5)
    assert torch.equal(again.index, plan.index) and again.looked_at == 0
    z, base = trained.predict(data.inputs), method("joint-unimodal")
    assert torch.equal(trained.loss(z, data.target), base.loss(z, data.target))


# CAL


def weighed(name, audio=0.8, **options):
    """After the warm-up, with the sound's W; in evaluation mode."""
    trained = method(name, **options)
    trained.weights, trained.epoch = {"audio": audio, "visual": 1 - audio}, 3
    trained.model.eval()
    return trained


@pytest.mark.parametrize(
    ("name", "factors", "strengths"),
    [
        ("cal", (1.8, 1.2), (0.004, 0.016)),
        ("cal-even-acceleration", (1.5, 1.5), (0.004, 0.016)),
        ("cal-inverse-acceleration", (1.2, 1.8), (0.004, 0.016)),
        ("cal-even-compression", (1.8, 1.2), (0.01, 0.01)),
        ("cal-even", (1.5, 1.5), (0.01, 0.01)),
        ("cal-channels", (1.8, 1.2), (0.01, 0.01)),
        ("cal-loss", (1.8, 1.2), (0.004, 0.016)),
    ],
)
def test_acceleration_and_compression(name, factors, strengths):
    trained = weighed(name, beta=0.01)
    assert tuple(trained.factors().values()) == pytest.approx(factors)
    assert tuple(trained.strengths().values()) == pytest.approx(strengths)
    trained.epoch = 0  # the warm-up is that of CAL
    assert set(trained.factors().values()) == {1.0}
    assert set(trained.strengths().values()) == {0.005}


def test_swapped_weights():
    scores = {"audio": 0.7, "visual": 0.3}
    plain, swapped = (method(name).weights_of(scores) for name in ("cal", "cal-swapped"))
    assert swapped == {"audio": plain["visual"], "visual": plain["audio"]}
    assert plain["audio"] > plain["visual"]


def test_each_samples_gradient_is_scaled_by_its_own_weight(data):
    inputs, target = {m: x[:32] for m, x in data.inputs.items()}, data.target[:32]
    entering = []
    for kappa in (0.0, 2.0):
        trained = weighed("cal-sample", beta=0.0, kappa=kappa)
        caught, encode = {}, trained.model.encode

        def caught_features(inputs, keep, encode=encode, caught=caught):
            features = encode(inputs, keep)
            for m, h in features.items():
                h.register_hook(lambda g, m=m: caught.__setitem__(m, g))
            return features

        trained.model.encode = caught_features
        trained.loss(trained.logits(inputs, None), target).backward()
        entering.append(caught)
    for m, W in trained.weights.items():
        assert W.std() > 0.01
        wanted = (1 + 2.0 * W).unsqueeze(1) * entering[0][m]
        torch.testing.assert_close(entering[1][m], wanted)


def test_an_epochs_weight_is_the_mean_of_the_epoch_before(data):
    trained, batch = method("cal-epoch"), (data.inputs, data.target, torch.arange(128))
    trained.plan(0)
    trained.step(*batch)
    assert trained.weights == {"audio": 0.5, "visual": 0.5}
    trained.step(*batch)
    wanted = {m: sum(c[m] for c in trained.seen) / 2 for m in trained.scores}
    trained.plan(1)
    assert trained.scores == pytest.approx(wanted) and trained.seen == []


def test_silence_falls_on_the_weaker_code_alone(data):
    trained = weighed("cal-channels", audio=0.7)
    assert trained.silences() == {"audio": 0.0, "visual": pytest.approx(0.4)}
    trained.model.train()
    trained.logits(data.inputs, None)
    assert not any((code == 0).any() for code in trained.codes.values())  # W is judged on these
    codes = trained.heard(trained.codes)
    silent = {m: (code == 0).float().mean().item() for m, code in codes.items()}
    assert silent == pytest.approx({"audio": 0.0, "visual": 0.4}, abs=0.03)
    trained.model.eval()
    assert torch.equal(trained.heard(codes)["visual"], codes["visual"])
    assert method("cal").heard(codes) is codes


def test_acceleration_through_the_loss_reaches_what_lies_behind_too(data):
    inputs, target = {m: x[:32] for m, x in data.inputs.items()}, data.target[:32]
    trained = weighed("cal-loss", audio=0.7, beta=0.0, kappa=2.0)
    z = trained.logits(inputs, None)
    wanted = F.cross_entropy(z["fused"], target) + 2.4 * F.cross_entropy(z["audio"], target)
    wanted = wanted + 1.6 * F.cross_entropy(z["visual"], target)
    torch.testing.assert_close(trained.loss(z, target), wanted)
    assert all((scale == 1).all() for scale in trained.scale.values())

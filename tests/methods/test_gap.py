"""The GMM gap loss: the gap, the mixture by EM, the posterior, the loss's terms, its plans."""

import copy
import math

import pytest
import torch
from sklearn.mixture import GaussianMixture

from mmlib.data import AVDigits
from mmlib.devices import seeded
from mmlib.encoders import SmallCNN
from mmlib.evaluation import collect
from mmlib.methods import make_method
from mmlib.methods.gap import (
    CLIP,
    GapMixture,
    fit_gap_mixture,
    fit_mixture,
    gap_weights,
    modality_gap,
    shift_term,
)
from mmlib.methods.gap_mixture import log_densities
from mmlib.training import fit

TARGET = torch.tensor([0, 1, 2, 3, 0, 1])


@pytest.fixture(scope="module")
def data():
    return AVDigits("train", size=128)


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return [z.requires_grad_() for z in 2 * torch.randn(2, 6, 4, generator=generator)]


def method(data, modalities=("audio", "visual"), epochs=4, name="gap", **options):
    with seeded(0):
        encoders = {m: SmallCNN() for m in modalities}
    return make_method(name, encoders, 10, epochs, dataset=data, **options)


def weights(trained):
    return torch.cat([p.detach().flatten() for p in trained.model.parameters()])


def planted(means, deviations, shares, seed, size=4000):
    generator = torch.Generator().manual_seed(seed)
    kind = torch.multinomial(torch.tensor(shares), size, True, generator=generator)
    noise = torch.randn(size, generator=generator)
    return torch.tensor(means)[kind] + torch.tensor(deviations)[kind] * noise


def two_kinds(seed=0):
    return planted([0.1, 0.7], [0.05, 0.12], [0.6, 0.4], seed)


def mixture(mean=(0.1, 0.6), variance=(0.01, 0.04), weight=(0.5, 0.5), **changes):
    parts = (torch.tensor(x, dtype=torch.float64) for x in (mean, variance, weight))
    return GapMixture(*parts, bic={1: 1.0, 2: 0.0}, separation=3.0, degenerate=False, **changes)


def true_scores(first, second, target):
    return [z.softmax(1).gather(1, target[:, None]).squeeze(1) for z in (first, second)]


def test_gap_is_the_difference_of_the_true_scores(logits):
    first, second = true_scores(*logits, TARGET)
    G = modality_gap(*logits, TARGET)
    torch.testing.assert_close(G, first - second)
    torch.testing.assert_close(modality_gap(*reversed(logits), TARGET), -G)
    assert G.shape == (6,) and (G.abs() <= 1).all() and (G > 0).any() and (G < 0).any()


def test_sign_and_range_at_the_extremes():
    sure, wrong = torch.tensor([[1000.0, 0.0]]), torch.tensor([[0.0, 1000.0]])
    target = torch.tensor([0])
    assert modality_gap(sure, wrong, target).item() == 1
    assert modality_gap(wrong, sure, target).item() == -1
    assert modality_gap(wrong, wrong, target).item() == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("means", "deviations", "shares"),
    [
        ([0.1, 0.7], [0.05, 0.12], [0.6, 0.4]),
        ([0.0, 0.5], [0.1, 0.1], [0.3, 0.7]),
        ([-0.6, 0.0, 0.7], [0.1, 0.08, 0.15], [0.3, 0.4, 0.3]),
    ],
)
def test_em_recovers_what_was_planted(means, deviations, shares, seed):
    found = fit_mixture(planted(means, deviations, shares, seed), len(means))
    order = found.means.argsort()
    wanted = torch.tensor([means, deviations, shares], dtype=torch.float64)
    parts = torch.stack([found.means, found.variances.sqrt(), found.weights])[:, order]
    torch.testing.assert_close(parts, wanted, atol=0.03, rtol=0)
    assert found.weights.sum().item() == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("components", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_log_likelihood_is_that_of_scikit_learn(components, seed):
    values = two_kinds(seed).abs()
    mine = fit_mixture(values, components, tolerance=1e-7)
    start = fit_mixture(values, components, iterations=0)
    theirs = GaussianMixture(
        components,
        means_init=start.means[:, None],
        weights_init=start.weights,
        precisions_init=1 / start.variances[:, None, None],
        tol=1e-7,
        max_iter=1000,
        reg_covar=1e-9,
    ).fit(values[:, None].double())
    score = theirs.score(values[:, None].double())
    assert mine.log_likelihood / mine.count == pytest.approx(score, abs=1e-3)
    assert mine.bic == pytest.approx(theirs.bic(values[:, None].double()), abs=8)
    parts = mine.means, mine.variances, mine.weights
    sample = log_densities(values[:5].double(), *parts).logsumexp(1)
    torch.testing.assert_close(
        sample, torch.tensor(theirs.score_samples(values[:5, None].double())), atol=0.01, rtol=0
    )


@pytest.mark.parametrize("components", [2, 3])
def test_log_likelihood_never_falls(components):
    values = two_kinds(3)
    path = [
        fit_mixture(values, components, iterations=steps, tolerance=0).log_likelihood
        for steps in range(12)
    ]
    assert all(after >= before - 1e-9 for before, after in zip(path, path[1:], strict=False))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_bic_prefers_one_gaussian_where_there_is_one_and_two_where_there_are_two(seed):
    one = planted([0.5], [0.1], [1.0], seed)
    assert fit_mixture(one, 1).bic < fit_mixture(one, 2).bic
    assert fit_gap_mixture(one).degenerate
    two = two_kinds(seed).abs()
    bic = {k: fit_mixture(two, k).bic for k in (1, 2)}
    assert bic[2] < bic[1]
    found = fit_gap_mixture(two)
    assert not found.degenerate and found.separation > 3
    assert found.bic == pytest.approx(bic, rel=1e-6)


def test_bic_by_hand():
    found = fit_mixture(two_kinds(), 2)
    assert found.bic == pytest.approx(-2 * found.log_likelihood + 5 * math.log(4000))


def test_the_balanced_component_is_the_one_nearer_to_zero():
    found = fit_gap_mixture(two_kinds())
    assert found.means[0] < found.means[1]
    signed = fit_gap_mixture(-two_kinds(), signed=True)
    torch.testing.assert_close(signed.means, -found.means, atol=1e-3, rtol=0)
    places = torch.tensor([-0.7, -0.1, 0.0])
    assert (signed.posterior(places) > 0.5).tolist() == [True, False, False]
    assert (found.posterior(-places) > 0.5).tolist() == [True, False, False]


def test_signed_sizes_make_no_difference_to_the_sizes_fit():
    gap = two_kinds()
    flipped = gap * torch.tensor([1.0, -1.0]).repeat(2000)
    torch.testing.assert_close(fit_gap_mixture(flipped).means, fit_gap_mixture(gap.abs()).means)


@pytest.mark.parametrize("seed", range(5))
def test_posterior_is_a_probability_and_rises_where_the_imbalanced_one_is_wider(seed):
    gap = two_kinds(seed)
    found = fit_gap_mixture(gap)
    r = found.posterior(torch.linspace(-1, 1, 201))
    assert (r >= 0).all() and (r <= 1).all()
    assert found.variances[1] >= found.variances[0]
    inside = torch.linspace(found.means[0].item(), gap.abs().max().item(), 200)
    assert (found.posterior(inside).diff() >= -1e-6).all()


def test_posterior_by_hand():
    found = mixture(weight=(0.7, 0.3))
    normal = [torch.distributions.Normal(0.1, 0.1), torch.distributions.Normal(0.6, 0.2)]
    for d in (0.0, 0.2, 0.35, 0.9):
        b, u = (n.log_prob(torch.tensor(d)).exp() for n in normal)
        b, u = 0.7 * b, 0.3 * u
        assert found.posterior(torch.tensor([-d])).item() == pytest.approx((u / (b + u)).item())


def test_a_narrow_imbalanced_component_is_not_monotone():
    wide = planted([0.3, 0.85], [0.25, 0.03], [0.6, 0.4], 0)
    found = fit_gap_mixture(wide)
    assert found.variances[1] < found.variances[0]
    r = found.posterior(torch.linspace(0, 1.3, 200))
    assert (r.diff() > 0).any() and (r.diff() < 0).any()
    assert not found.monotone
    assert fit_gap_mixture(planted([0.1, 0.6], [0.1, 0.1], [0.5, 0.5], 0)).monotone


def test_no_gradient_reaches_mixture_weights_and_posterior(logits):
    G = modality_gap(*logits, TARGET)
    found = fit_gap_mixture(torch.cat([G, two_kinds()]))
    for part in (found.means, found.variances, found.weights, found.posterior(G)):
        assert not part.requires_grad
    r = torch.linspace(0.1, 0.9, 6).requires_grad_()
    assert not any(w.requires_grad for w in gap_weights(r))
    shift_term(G, r, mixture()).sum().backward()
    assert r.grad is None and all(z.grad is not None for z in logits)


def test_two_sided_moves_both_heads(logits):
    (modality_gap(*logits, TARGET) ** 2).sum().backward()
    assert all((z.grad.abs().sum(1) > 0).all() for z in logits)


def test_weights_average_one():
    fusion, penalty = gap_weights(torch.tensor([0.0, 0.2, 0.9, 1.0]))
    for w in (fusion, penalty):
        assert w.mean().item() == pytest.approx(1) and w.shape == (4,)
    assert (fusion.diff() < 0).all() and (penalty.diff() > 0).all()
    torch.testing.assert_close(fusion[0] / fusion[3], torch.tensor(2.0))


def test_shift_term_by_hand_and_at_its_limit():
    G = torch.tensor([0.05, 0.3, -0.3, 0.9], requires_grad=True)
    r = torch.tensor([1.0, 0.5, 0.5, 1.0])
    S = shift_term(G, r, mixture())
    torch.testing.assert_close(S.detach(), torch.tensor([0.0, 1.0, 1.0, CLIP]), rtol=1e-4, atol=0)
    (slope,) = torch.autograd.grad(S.sum(), G)
    # r (d - mu) / sigma^2, beyond the limit over the term's own size, 32, times 10
    wanted = torch.tensor([0.0, 10.0, -10.0, 80.0 * CLIP / 32])
    torch.testing.assert_close(slope, wanted, rtol=1e-4, atol=0)


def test_shift_term_of_a_signed_mixture_pulls_one_side_only():
    found = mixture(mean=(-0.1, -0.6), signed=True)
    S = shift_term(torch.tensor([0.5, -0.05, -0.3]), torch.ones(3), found)
    assert S[0] == 0 and S[1] == 0 and S[2].item() == pytest.approx(2.0, rel=1e-4)


def test_the_warm_up_is_joint_with_unimodal_losses(data):
    base = method(data, name="joint-unimodal", lr=0.1)
    own = method(data, warmup=4, lr=0.1)
    for trained in (base, own):
        fit(trained, data, 4, 64, progress=False)
    assert torch.equal(weights(base), weights(own)) and own.mixture is None


def test_a_degenerate_mixture_trains_as_joint_to_the_bit(data):
    base, own = method(data, name="joint-unimodal"), method(data, warmup=0)
    own.plan(0)
    own.mixture = fit_gap_mixture(torch.full((128,), 0.3))
    own.posterior, own.index = own.mixture.posterior(torch.full((128,), 0.3)), torch.arange(128)
    assert own.mixture.degenerate and not own.posterior.any()
    z = own.predict(data.inputs)
    assert torch.equal(own.loss(z, data.target), base.loss(z, data.target))
    own.mixture.degenerate = False
    assert not torch.equal(own.loss(z, data.target), base.loss(z, data.target))


def test_the_loss_by_hand(data):
    trained = method(data, gap_weight=0.7, shift_weight=0.2, unimodal_weight=2.0)
    z = {m: x.detach() for m, x in trained.predict(data.inputs).items()}
    trained.mixture, trained.index = mixture(), torch.arange(127, -1, -1)
    trained.posterior = torch.linspace(0, 1, 128)
    r = trained.posterior.flip(0)
    G = modality_gap(z["audio"], z["visual"], data.target)
    ce = {
        m: torch.nn.functional.cross_entropy(x, data.target, reduction="none") for m, x in z.items()
    }
    fusion, penalty = (2 - r) / (2 - r).mean(), (1 + r) / (1 + r).mean()
    wanted = fusion * ce["fused"] + 0.7 * penalty * G**2 + 0.2 * shift_term(G, r, trained.mixture)
    wanted = wanted + 2.0 * (ce["audio"] + ce["visual"])
    torch.testing.assert_close(trained.loss(z, data.target), wanted.mean())


def test_measuring_in_evaluation_mode(data):
    trained = method(data, warmup=1)
    assert trained.plan(0) is None and trained.mixture is None
    trained.step(data.inputs, data.target, torch.arange(128))
    before = copy.deepcopy(trained.model.state_dict())
    plan = trained.plan(1)
    assert plan.looked_at == 128 and torch.equal(plan.index, torch.arange(128))
    after = trained.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # batch statistics too
    z = collect(trained.predict, data)
    G = modality_gap(z["audio"], z["visual"], data.target)
    torch.testing.assert_close(trained.mixture.means, fit_gap_mixture(G).means)
    torch.testing.assert_close(trained.posterior, trained.mixture.posterior(G))


class Stop(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"name": "gap-purified-random", "purify_epochs": 2}])
@pytest.mark.parametrize("epoch", [2, 3, 4])
def test_a_resumed_run_reaches_the_weights_of_an_undisturbed_one(options, epoch, data, tmp_path):
    small = AVDigits("train", size=64)
    whole, stopped, resumed = (method(small, epochs=5, warmup=1, **options) for _ in range(3))
    history = fit(whole, small, 5, 32, progress=False)

    def evaluate(trained):
        if trained.optimizer.param_groups[0]["lr"] == rates[epoch - 1]:
            raise Stop
        return {}

    probe = method(small, epochs=5, warmup=1, **options)
    rates = []
    for e in range(5):
        probe.plan(e)
        rates.append(probe.optimizer.param_groups[0]["lr"])
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Stop):
        fit(stopped, small, 5, 32, checkpoint=path, evaluate=evaluate, progress=False)
    again = fit(resumed, small, 5, 32, checkpoint=path, resume=True, progress=False)
    assert torch.equal(weights(whole), weights(resumed))
    assert [row["loss"] for row in again] == [row["loss"] for row in history]
    assert [row["samples"] for row in again] == [row["samples"] for row in history]


def test_state_holds_mixture_posterior_and_kept_samples(data):
    options = {"name": "gap-purified-random", "warmup": 0, "purify_epochs": 1}
    trained = method(data, epochs=3, **options)
    trained.plan(0)
    trained.plan(2)
    again = method(data, epochs=3, **options)
    again.load_state_dict(copy.deepcopy(trained.state_dict()))
    assert torch.equal(again.kept, trained.kept)
    assert torch.equal(again.posterior, trained.posterior)
    assert again.mixture.bic == trained.mixture.bic
    assert torch.equal(again.mixture.means, trained.mixture.means)


def test_gaps_that_are_all_equal_are_degenerate():
    for value in (0.0, 0.4, -1.0):
        found = fit_gap_mixture(torch.full((50,), value))
        assert found.degenerate and torch.isfinite(found.means).all()
        assert found.posterior(torch.tensor([0.0, 1.0])).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fit_gap_mixture(torch.tensor([0.3])), "1 values.* two finite values or more"),
        (lambda: fit_gap_mixture(torch.tensor([])), "0 values"),
        (lambda: fit_gap_mixture(torch.tensor([0.1, torch.nan, 0.3])), "1 are not finite"),
        (lambda: fit_mixture(torch.tensor([0.1, torch.inf]), 2), "1 are not finite"),
        (lambda: modality_gap(*torch.zeros(2, 6, 3), TARGET), r"0\.\.2"),
        (lambda: modality_gap(torch.zeros(6, 4), torch.full((6, 4), torch.nan), TARGET), "NaN"),
        (lambda: modality_gap(*torch.zeros(2, 5, 4), TARGET), "same length"),
    ],
)
def test_bad_input_of_the_formulas(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"modalities": ("audio",)}, "Gap takes 2 modalities; the model has 1: audio"),
        (
            {"modalities": ("audio", "visual", "rear")},
            "Gap takes 2 modalities; .* 3: audio, visual, rear",
        ),
        ({"gap_weight": -0.1}, "gap_weight is -0.1; give a number of at least 0"),
        ({"shift_weight": -1.0}, "shift_weight is -1.0"),
        ({"unimodal_weight": -1.0}, "unimodal_weight is -1.0"),
        ({"warmup": -1}, "warmup is -1"),
        ({"name": "gap-purified", "purify_epochs": 4}, "purify_epochs is 4 of 4 epochs"),
        ({"name": "gap-purified", "purify_epochs": 0}, "purify_epochs is 0"),
    ],
)
def test_bad_options(options, words, data):
    with pytest.raises(ValueError, match=words):
        method(data, **options)


def test_a_data_set_is_needed():
    with pytest.raises(ValueError, match="give make_method a dataset"):
        method(None)


def test_a_class_that_is_missing(data):
    few = copy.copy(data)
    there = data.target != 3
    few.inputs, few.target = {m: x[there] for m, x in data.inputs.items()}, data.target[there]
    history = fit(method(few, epochs=3, warmup=1), few, 3, 32, progress=False)
    assert math.isfinite(history[-1]["loss"]) and history[-1]["looked_at"] == len(few)

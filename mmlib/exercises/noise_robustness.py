"""The checks of lesson 7, robustness to noise."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from mmlib.exercises.checking import (
    call,
    compare,
    exercise,
    has_keys,
    has_shape,
    no_global_draws,
    normal,
    seeded_globally,
)


@exercise("Exercise 1, noise at a given ratio")
def check_mix(answer: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 7: `answer(w, noise, snr_db)` is `w` plus the noise at that ratio, `(T,)`."""
    w, noise = normal(2, 400, dtype=torch.float64)
    w, noise = 0.3 * w + 0.1, 2.5 * noise - 0.8
    power, level = w.square().mean(), noise.square().mean()
    changed = "w or noise has changed: compute anew, not in place"
    for snr_db in (6.0, -10.0):
        given = call(answer, w, noise, snr_db, unchanged=changed)
        given = has_shape(given, (400,), "the sound is {}; give (T,) = (400,)")
        ratio = 10 ** (-snr_db / 10)
        factor = (power / level * ratio).sqrt()
        found = 10 * torch.log10(power / (given - w).square().mean())
        mistakes = {
            "this is the noise alone: add the waveform": noise * factor,
            "the sign: more dB is less noise": w + noise * (power / level / ratio).sqrt(),
            "a factor on amplitudes is the root of powers'": w + noise * factor**2,
            "the noise has a power of its own: divide by it": w + noise * (power * ratio).sqrt(),
            "dB of powers divide by 10, under the root; of amplitudes by 20, without one": (
                w + noise * (power / level).sqrt() * ratio
            ),
            "dB of powers divide by 10, not by 20": w + noise * (power / level * ratio**0.5).sqrt(),
            "power is the mean square; a variance takes the mean off first": (
                w + noise * w.std() / noise.std() * ratio**0.5
            ),
            "scale the noise; the waveform stays as it is": w / factor + noise,
            "neither power is used: the ratio is theirs": w + noise * ratio**0.5,
            f"at {snr_db:g} dB: the ratio of powers comes out as {found:.1f} dB, or what was "
            "added is not the given noise times one factor": ...,
        }
        compare(given, w + noise * factor, mistakes)


@exercise("Exercise 2, the Euclidean ball")
def check_project_euclidean(
    answer: Callable[[Tensor, Tensor, float, tuple[float, float]], Tensor],
) -> None:
    """Lesson 7: `answer(x, centre, epsilon, limits)` is within both for each sample, `(B, ...)`."""
    epsilon, limits = 0.5, (0.0, 1.0)
    for shape in ((4, 3, 5), (4, 1, 3, 5)):
        centre = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        centre[0] = 0.5  # so that nothing of the first sample is near a limit
        each = (4, *(1,) * (len(shape) - 1))
        way = normal(*shape)
        way = way / way.flatten(1).norm(dim=1).reshape(each)
        far = torch.tensor([0.2, 3.0, 1.5, 0.0]).reshape(each)
        x = centre + far * way
        changed = "x or centre has changed: compute anew, not in place"
        given = call(answer, x, centre, epsilon, limits, unchanged=changed)
        given = has_shape(given, shape, f"the result is {{}}; x is {shape}")
        assert not given.isnan().any(), "NaN for a sample that has not moved: do not divide by 0"
        moved = (given - centre).flatten(1).norm(dim=1).max()
        too_far = ... if moved > epsilon * 1.001 else ()
        short = far.clamp(max=epsilon) * way
        of_batch = centre + (x - centre) * (epsilon / (x - centre).norm())
        onto = centre + epsilon * way * (far > 0)
        box = (centre + (x - centre).clamp(-epsilon, epsilon)).clamp(*limits)
        mistakes = {
            "the limits of the data are not kept": centre + short,
            "one length for the whole batch: each sample has its own ball": of_batch.clamp(*limits),
            "who is inside the ball stays where it is": onto.clamp(*limits),
            "this is section 8's ball, in the maximum norm: take each sample's length": box,
            "this is the way from the centre: add the centre": (short, short.clamp(*limits)),
            "the ball is not kept": x.clamp(*limits),
            f"a sample is {moved:.2f} away from its centre; epsilon is {epsilon}": too_far,
            "shorten each sample's x - centre to epsilon where it is longer, then clip": ...,
        }
        compare(given, (centre + short).clamp(*limits), mistakes)


@exercise("Exercise 3, five faults")
def check_noisy(answer: Callable[[Tensor, float, int], Tensor]) -> None:
    """Lesson 7: `answer(x, severity, seed)` is `x`, `(N, ...)`, noisy by section 5's protocol."""
    x = 0.4 + 0.2 * torch.rand((120, 1, 6, 6), generator=torch.Generator().manual_seed(0))
    changed = "x has changed: copy it first, or the clean data are lost"
    text = f"give all samples, {tuple(x.shape)}"
    found = {e: call(answer, x, e, 0, unchanged=changed) for e in (0, 1, 2, 10)}
    found = {e: has_shape(noisy, x.shape, text) for e, noisy in found.items()}
    inside = 0 <= found[10].min() <= found[10].max() <= 1
    assert inside, "values leave [0, 1]: clip on both sides"
    hint = "a draw comes from the global generator: pass generator=g to each"
    with seeded_globally(99), no_global_draws(hint):
        assert torch.equal(answer(x.clone(), 10, 0), found[10]), hint
    assert torch.equal(found[0], x), "severity 0 must be the clean data to the bit"
    hit = {e: (noisy != x).flatten(1).any(1) for e, noisy in found.items()}
    share = hit[10].float().mean().item()
    alike = "; do all draw from one seed, and fall alike? the index belongs into it"
    hint = f"{share:.2f} of the samples are hit, not a half{alike * (share in (0, 1))}"
    assert 0.25 < share < 0.75, hint
    noise = {e: found[e] - x for e in (1, 2)}
    inside = (found[2] > 0) & (found[2] < 1)
    doubled = torch.allclose(noise[2][inside], 2 * noise[1][inside], atol=1e-4)
    assert torch.equal(hit[1], hit[2]) and doubled, (
        "at severity 2 it is not the noise of severity 1, doubled, in the same samples: leave "
        "the severity out of the seed"
    )
    first = noise[1][hit[1]]
    assert 0.08 < first.std() < 0.12, f"deviation {first.std():.2f} at severity 1, not 0.1"
    alike = (first[0] - first[1]).abs().max() < 1e-4
    assert not alike, "all samples get the same noise: the index belongs into the seed"
    same = x[:1].expand_as(x)  # so that noise can be compared between samples
    first, second = (answer(same.clone(), 1, seed) for seed in (0, 1))
    assert not torch.equal(first, second), "another seed gives the same noise"
    assert not torch.equal(first[1:], second[:-1]), (
        "seed 1 is seed 0 moved on by a sample, as seed + i gives: mix seed and index, as "
        "section 5 does"
    )
    few = torch.equal(answer(x[:50].clone(), 10, 0), found[10][:50])
    assert few, "the first 50 samples alone get other noise: one generator a sample"


@exercise("Exercise 4, an interval of drops")
def check_drop_interval(
    answer: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Sequence[float]],
) -> None:
    """Lesson 7: `answer(clean_a, noisy_a, clean_b, noisy_b)` is `(mean, low, high)`."""
    draw = np.random.default_rng(0).normal
    clean_a, clean_b = 0.9 + 0.02 * draw(size=5), 0.8 + 0.02 * draw(size=5)
    noisy_a, noisy_b = (
        clean[:, None] - gone + 0.03 * draw(size=(5, 1)) + 0.01 * draw(size=(5, 3))
        for clean, gone in ((clean_a, 0.3), (clean_b, 0.2))
    )
    left_a, left_b = noisy_a.mean(1), noisy_b.mean(1)

    def interval(d: np.ndarray, half: float | None = None) -> np.ndarray:
        half = stats.t.ppf(0.975, len(d) - 1) * stats.sem(d) if half is None else half
        return d.mean() + half * np.array([0, -1, 1])

    def lost(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
        return (clean - noisy) / clean

    a, b, t = lost(clean_a, left_a), lost(clean_b, left_b), stats.t.ppf(0.975, 4)
    d, absolute = a - b, (clean_a - left_a) - (clean_b - left_b)
    s, of_noisy = d.std(ddof=1), clean_a / left_a - clean_b / left_b
    every = lost(clean_a[:, None], noisy_a) - lost(clean_b[:, None], noisy_b)
    over_mean = (clean_a - left_a) / clean_a.mean() - (clean_b - left_b) / clean_b.mean()
    unpaired = stats.t.ppf(0.975, 8) * np.sqrt(a.var(ddof=1) / 5 + b.var(ddof=1) / 5)
    given = np.asarray(call(answer, clean_a, noisy_a, clean_b, noisy_b), float)
    has_shape(given, (3,), "give three numbers, (mean, low, high)")
    mistakes = {
        "15 pairs? Noise seeds of one network are no new networks: take their mean first, 5 "
        "pairs are left": interval(every.ravel()),
        "the pairs are the training seeds: mean over the noise seeds": interval(every.mean(0)),
        "turned round: a minus b": interval(-d),
        "relative: divide by the clean accuracy of the same network": interval(absolute),
        "divide within the seed, by the clean accuracy of that network": interval(over_mean),
        "divide by the clean accuracy, not by the noisy one": interval(of_noisy),
        "seeds are paired: take the interval of the differences": interval(d, unpaired),
        "five pairs: Student's t, 2.776, not 1.96": interval(d, 1.96 * stats.sem(d)),
        "the deviation of a sample divides by n - 1: ddof=1": interval(d, t * d.std() / 5**0.5),
        "divide the deviation by the square root of the number of pairs": interval(d, t * s),
        f"expected {interval(d).round(4).tolist()}, not {given.round(4).tolist()}": ...,
    }
    compare(given, interval(d), mistakes, atol=1e-7)


@exercise("Exercise 5, a batch of your own noise")
def check_spoil_batch(answer: Callable[[dict, torch.Generator], dict]) -> None:
    """Lesson 7: `answer(inputs, g)` is a batch in which some samples of each modality changed."""
    clean = {"audio": normal(64, 1, 40, 51), "visual": normal(64, 1, 32, 32)}
    changed = "the batch has changed in place: the data set's tensors would too"

    def ask(seed: int) -> dict[str, Tensor]:
        return call(answer, clean, torch.Generator().manual_seed(seed), unchanged=changed)

    def equal(a: dict, b: dict) -> bool:
        return all(torch.equal(a[m], b[m]) for m in a)

    hint = "something random does not come from g: pass generator=g"
    with no_global_draws(hint):
        given = ask(0)
        has_keys(given, clean, "give a dict with the modalities of inputs")
        for m, x in given.items():
            text = f"{m}: give finite numbers of shape {tuple(clean[m].shape)}"
            assert has_shape(x, clean[m].shape, text).isfinite().all(), text
            share = (x != clean[m]).flatten(1).any(1).float().mean().item()
            assert 0.05 < share < 0.95, (
                f"{m}: {share:.2f} of the samples are spoiled; some, and some not, is what is asked"
            )
        again, other = ask(0), ask(1)
    assert equal(given, again), hint
    assert not equal(given, other), "another generator gives the same noise: draw from g anew"
    for seed in range(2, 8):
        gone = [(x == x[:, :1, :1, :1]).flatten(1).all(1) for x in ask(seed).values()]
        both = torch.stack(gone).all(0).any()
        assert not both, "a sample loses both modalities: nothing is left to learn from"

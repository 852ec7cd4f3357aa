"""The checks of lesson 7."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from mmlib.exercises.checking import agrees, call, exercise


@exercise("Exercise 1, noise at a given ratio")
def check_mix(answer: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 7: `answer(w, noise, snr_db)` is `w` plus the noise at that ratio, `(T,)`."""
    generator = torch.Generator().manual_seed(0)
    w = 0.3 * torch.randn(400, generator=generator, dtype=torch.float64) + 0.1
    noise = 2.5 * torch.randn(400, generator=generator, dtype=torch.float64) - 0.8
    power, level = w.square().mean(), noise.square().mean()
    for snr_db in (6.0, -10.0):
        kept = w.clone(), noise.clone()
        given = torch.as_tensor(call(answer, *kept, snr_db)).detach()
        if not (torch.equal(kept[0], w) and torch.equal(kept[1], noise)):
            raise AssertionError("w or noise has changed: compute anew, not in place")
        ratio = 10 ** (-snr_db / 10)
        wanted = w + noise * (power / level * ratio).sqrt()
        for wrong, hint in (
            (wanted - w, "this is the noise alone: add the waveform"),
            (w + noise * (power / level / ratio).sqrt(), "the sign: more dB is less noise"),
            (w + noise * power / level * ratio, "a factor on amplitudes is the root of powers'"),
            (w + noise * (power * ratio).sqrt(), "the noise has a power of its own: divide by it"),
            (
                w + noise * (power / level).sqrt() * ratio,
                "dB of powers divide by 10, under the root; of amplitudes by 20, without one",
            ),
            (
                w + noise * (power / level * 10 ** (-snr_db / 20)).sqrt(),
                "dB of powers divide by 10, not by 20",
            ),
            (
                w + noise * (w.var() / noise.var() * ratio).sqrt(),
                "power is the mean square; a variance takes the mean off first",
            ),
            (
                w + noise * (w.var(correction=0) / noise.var(correction=0) * ratio).sqrt(),
                "power is the mean square; a variance takes the mean off first",
            ),
            (
                w / (power / level * ratio).sqrt() + noise,
                "scale the noise; the waveform stays as it is",
            ),
            (w + noise * (ratio**0.5), "neither power is used: the ratio is theirs"),
        ):
            if agrees(given, wrong):
                raise AssertionError(hint)
        if given.shape != w.shape:
            raise AssertionError(f"the sound is {tuple(given.shape)}; give (T,) = (400,)")
        if not agrees(given, wanted):
            found = 10 * torch.log10(power / (given - w).square().mean())
            raise AssertionError(
                f"at {snr_db:g} dB: the ratio of powers comes out as {found:.1f} dB, or what was "
                "added is not the given noise times one factor"
            )


@exercise("Exercise 2, the Euclidean ball")
def check_project_euclidean(
    answer: Callable[[Tensor, Tensor, float, tuple[float, float]], Tensor],
) -> None:
    """Lesson 7: `answer(x, centre, epsilon, limits)` is within both for each sample, `(B, ...)`."""
    generator = torch.Generator().manual_seed(0)
    epsilon, limits = 0.5, (0.0, 1.0)
    for shape in ((4, 3, 5), (4, 1, 3, 5)):
        centre = torch.rand(shape, generator=generator)
        way = torch.randn(shape, generator=generator)
        way = way / way.flatten(1).norm(dim=1).reshape(-1, *(1,) * (len(shape) - 1))
        far = torch.tensor([0.2, 3.0, 1.5, 0.0]).reshape(-1, *(1,) * (len(shape) - 1))
        centre[0] = 0.5  # so that nothing of the first sample is near a limit
        x = centre + far * way
        kept = x.clone(), centre.clone()
        given = torch.as_tensor(call(answer, *kept, epsilon, limits)).detach()
        if not (torch.equal(kept[0], x) and torch.equal(kept[1], centre)):
            raise AssertionError("x or centre has changed: compute anew, not in place")
        if given.shape != x.shape:
            raise AssertionError(f"the result is {tuple(given.shape)}; x is {tuple(x.shape)}")
        if torch.isnan(given).any():
            raise AssertionError("NaN for a sample that has not moved: do not divide by 0")
        short = (epsilon / far.clamp(min=1e-12)).clamp(max=1)
        inside = centre + short * far * way
        wanted = inside.clamp(*limits)
        whole = (x - centre).norm()
        onto = centre + epsilon * way * (far > 0)
        for wrong, hint in (
            (inside, "the limits of the data are not kept"),
            (
                (centre + (x - centre) * (epsilon / whole).clamp(max=1)).clamp(*limits),
                "one length for the whole batch: each sample has its own ball",
            ),
            (onto.clamp(*limits), "who is inside the ball stays where it is"),
            (
                torch.minimum(torch.maximum(x, centre - epsilon), centre + epsilon).clamp(*limits),
                "this is section 8's ball, in the maximum norm: take each sample's length",
            ),
            (short * far * way, "this is the way from the centre: add the centre"),
            ((short * far * way).clamp(*limits), "this is the way from the centre: add the centre"),
            (x.clamp(*limits), "the ball is not kept"),
        ):
            if agrees(given, wrong):
                raise AssertionError(hint)
        moved = (given - centre).flatten(1).norm(dim=1)
        if (moved > epsilon * 1.001).any():
            raise AssertionError(
                f"a sample is {moved.max():.2f} away from its centre; epsilon is {epsilon}"
            )
        if not agrees(given, wanted):
            raise AssertionError(
                "shorten each sample's x - centre to epsilon where it is longer, then clip"
            )


@exercise("Exercise 3, five faults")
def check_noisy(answer: Callable[[Tensor, float, int], Tensor]) -> None:
    """Lesson 7: `answer(x, severity, seed)` is `x`, `(N, ...)`, noisy by section 5's protocol."""
    x = 0.4 + 0.2 * torch.rand((120, 1, 6, 6), generator=torch.Generator().manual_seed(0))
    given = {severity: x.clone() for severity in (0, 1, 2, 10)}
    found = {e: torch.as_tensor(call(answer, mine, e, 0)) for e, mine in given.items()}
    if any(noisy.shape != x.shape for noisy in found.values()):
        raise AssertionError(f"give all samples, {tuple(x.shape)}")
    if any(not torch.equal(mine, x) for mine in given.values()):
        raise AssertionError("x has changed: copy it first, or the clean data are lost")
    if found[10].min() < 0 or found[10].max() > 1:
        raise AssertionError("values leave [0, 1]: clip on both sides")
    with torch.random.fork_rng():
        torch.manual_seed(99)
        state = torch.random.get_rng_state()
        again = answer(x.clone(), 10, 0)
        if not torch.equal(again, found[10]) or not torch.equal(
            state, torch.random.get_rng_state()
        ):
            raise AssertionError("a draw comes from the global generator: pass generator=g to each")
    if not torch.equal(found[0], x):
        raise AssertionError("severity 0 must be the clean data to the bit")
    hit = {e: (noisy != x).flatten(1).any(1) for e, noisy in found.items()}
    share = hit[10].float().mean().item()
    if not 0.25 < share < 0.75:
        alike = "; do all draw from one seed, and fall alike? the index belongs into it"
        raise AssertionError(
            f"{share:.2f} of the samples are hit, not a half" + alike * (share in (0, 1))
        )
    noise = {e: found[e] - x for e in (1, 2)}
    inside = (found[2] > 0) & (found[2] < 1)
    if not torch.equal(hit[1], hit[2]) or not torch.allclose(
        noise[2][inside], 2 * noise[1][inside], atol=1e-4
    ):
        raise AssertionError(
            "at severity 2 it is not the noise of severity 1, doubled, in the same samples: leave "
            "the severity out of the seed"
        )
    if not 0.08 < noise[1][hit[1]].std() < 0.12:
        raise AssertionError(f"deviation {noise[1][hit[1]].std():.2f} at severity 1, not 0.1")
    first, second = noise[1][hit[1]][:2]
    if (first - second).abs().max() < 1e-4:
        raise AssertionError("all samples get the same noise: the index belongs into the seed")
    same = x[:1].expand_as(x)  # so that noise can be compared between samples
    first, second = (answer(same.clone(), 1, seed) for seed in (0, 1))
    if torch.equal(first, second):
        raise AssertionError("another seed gives the same noise")
    if torch.equal(first[1:], second[:-1]):
        raise AssertionError(
            "seed 1 is seed 0 moved on by a sample, as seed + i gives: mix seed and index, as "
            "section 5 does"
        )
    if not torch.equal(answer(x[:50].clone(), 10, 0), found[10][:50]):
        raise AssertionError("the first 50 samples alone get other noise: one generator a sample")


@exercise("Exercise 4, an interval of drops")
def check_drop_interval(
    answer: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Sequence[float]],
) -> None:
    """Lesson 7: `answer(clean_a, noisy_a, clean_b, noisy_b)` is `(mean, low, high)`."""
    random = np.random.default_rng(0)
    clean_a, clean_b = (level + 0.02 * random.normal(size=5) for level in (0.9, 0.8))
    noisy_a, noisy_b = (
        clean[:, None]
        - gone
        + 0.03 * random.normal(size=(5, 1))
        + 0.01 * random.normal(size=(5, 3))
        for clean, gone in ((clean_a, 0.3), (clean_b, 0.2))
    )

    def interval(d: np.ndarray, half: float | None = None) -> np.ndarray:
        half = stats.t.ppf(0.975, len(d) - 1) * stats.sem(d) if half is None else half
        return np.array([d.mean(), d.mean() - half, d.mean() + half])

    def lost(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
        return (clean - noisy) / clean

    a, b = lost(clean_a, noisy_a.mean(1)), lost(clean_b, noisy_b.mean(1))
    every = lost(clean_a[:, None], noisy_a) - lost(clean_b[:, None], noisy_b)
    unpaired = np.sqrt(a.var(ddof=1) / 5 + b.var(ddof=1) / 5)
    given = call(answer, clean_a.copy(), noisy_a.copy(), clean_b.copy(), noisy_b.copy())
    given = np.asarray(given, float)
    if given.shape != (3,):
        raise AssertionError("give three numbers, (mean, low, high)")
    absolute = (clean_a - noisy_a.mean(1)) - (clean_b - noisy_b.mean(1))
    for wrong, hint in (
        (
            interval(every.ravel()),
            "15 pairs? Noise seeds of one network are no new networks: take their mean first, 5 "
            "pairs are left",
        ),
        (interval(every.mean(0)), "the pairs are the training seeds: mean over the noise seeds"),
        (interval(b - a), "turned round: a minus b"),
        (interval(absolute), "relative: divide by the clean accuracy of the same network"),
        (
            interval(
                (clean_a - noisy_a.mean(1)) / clean_a.mean()
                - (clean_b - noisy_b.mean(1)) / clean_b.mean()
            ),
            "divide within the seed, by the clean accuracy of that network",
        ),
        (
            interval((clean_a / noisy_a.mean(1) - 1) - (clean_b / noisy_b.mean(1) - 1)),
            "divide by the clean accuracy, not by the noisy one",
        ),
        (
            interval(a - b, stats.t.ppf(0.975, 8) * unpaired),
            "seeds are paired: take the interval of the differences",
        ),
        (interval(a - b, 1.96 * stats.sem(a - b)), "five pairs: Student's t, 2.776, not 1.96"),
        (
            interval(a - b, stats.t.ppf(0.975, 4) * (a - b).std() / 5**0.5),
            "the deviation of a sample divides by n - 1: ddof=1",
        ),
        (
            interval(a - b, stats.t.ppf(0.975, 4) * (a - b).std(ddof=1)),
            "divide the deviation by the square root of the number of pairs",
        ),
    ):
        if np.allclose(given, wrong, atol=1e-7):
            raise AssertionError(hint)
    wanted = interval(a - b)
    if not np.allclose(given, wanted, atol=1e-7):
        raise AssertionError(f"expected {wanted.round(4).tolist()}, not {given.round(4).tolist()}")


@exercise("Exercise 5, a batch of your own noise")
def check_spoil_batch(answer: Callable[[dict, torch.Generator], dict]) -> None:
    """Lesson 7: `answer(inputs, g)` is a batch in which some samples of each modality changed."""
    draw = torch.Generator().manual_seed(1)
    shapes = {"audio": (64, 1, 40, 51), "visual": (64, 1, 32, 32)}
    clean = {m: torch.randn(shape, generator=draw) for m, shape in shapes.items()}

    def ask(seed: int) -> dict[str, Tensor]:
        inputs = {m: x.clone() for m, x in clean.items()}
        result = call(answer, inputs, torch.Generator().manual_seed(seed))
        if any(not torch.equal(inputs[m], x) for m, x in clean.items()):
            raise AssertionError("the batch has changed in place: the data set's tensors would too")
        return result

    state = torch.random.get_rng_state()
    given = ask(0)
    if not isinstance(given, dict) or set(given) != set(clean):
        raise AssertionError("give a dict with the modalities of inputs")
    for m, x in given.items():
        if x.shape != clean[m].shape or not torch.isfinite(x).all():
            raise AssertionError(f"{m}: give finite numbers of shape {tuple(clean[m].shape)}")
    touched = {m: (x != clean[m]).flatten(1).any(1) for m, x in given.items()}
    for m, rows in touched.items():
        share = rows.float().mean().item()
        if not 0.05 < share < 0.95:
            raise AssertionError(
                f"{m}: {share:.2f} of the samples are spoiled; some, and some not, is what is asked"
            )
    again, other = ask(0), ask(1)
    if not torch.equal(state, torch.random.get_rng_state()) or any(
        not torch.equal(given[m], again[m]) for m in given
    ):
        raise AssertionError("something random does not come from g: pass generator=g")
    if all(torch.equal(given[m], other[m]) for m in given):
        raise AssertionError("another generator gives the same noise: draw from g anew")
    for seed in range(2, 8):
        gone = [
            (x == x.flatten(1)[:, :1, None, None]).flatten(1).all(1) for x in ask(seed).values()
        ]
        if torch.stack(gone).all(0).any():
            raise AssertionError("a sample loses both modalities: nothing is left to learn from")

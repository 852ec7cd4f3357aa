"""Answers that the checks take, and wrong ones with the hint that each gets."""

import zlib

import torch

from answers import (  # noqa: F401
    interval,
    test_every_known_mistake_gets_its_own_hint,
    test_right_started_and_empty,
    test_wrong_answers_get_their_hint,
)
from mmlib.exercises import (
    check_drop_interval,
    check_mix,
    check_noisy,
    check_project_euclidean,
    check_spoil_batch,
)


def mix(w, noise, snr_db, over=None, base=10.0):
    wanted = w.square().mean() * 10 ** (-snr_db / base)
    return w + noise * (wanted / (noise.square().mean() if over is None else over)).sqrt()


def project_euclidean(x, centre, epsilon, limits, dim=1, tiny=1e-12):
    away = x - centre
    length = away.flatten(1).norm(dim=1) if dim else away.norm().expand(len(x))
    short = (epsilon / length.clamp(min=tiny)).clamp(max=1)
    return (centre + short.reshape(-1, *(1,) * (x.dim() - 1)) * away).clamp(*limits)


def noisy(x, severity, seed, key="{seed} {i}", clip=(0, 1), hits=True, factor=0.1, start=None):
    result = x.clone()
    for i in range(len(x)) if severity or start is not None else ():
        g = torch.Generator().manual_seed(hash_of(key.format(seed=seed, i=i, severity=severity)))
        if torch.rand((), generator=g if hits else None) < 0.5:
            noise = torch.randn(x[i].shape, generator=g)
            result[i] = x[i] + (factor * severity + (start or 0.0)) * noise
    return result.clamp(*clip)


def hash_of(text):
    return zlib.crc32(text.encode())


def noisy_in_place(x, severity, seed):
    x[:] = noisy(x, severity, seed)
    return x


def noisy_at_once(x, severity, seed):
    g = torch.Generator().manual_seed(seed)
    hit = torch.rand((len(x), 1, 1, 1), generator=g) < 0.5
    return (x + hit * 0.1 * severity * torch.randn(x.shape, generator=g)).clamp(0, 1)


def noisy_by_sum(x, severity, seed, step=1):
    result = x.clone()
    for i in range(len(x)):
        g = torch.Generator().manual_seed(1000 + seed + step * i)
        if torch.rand((), generator=g) < 0.5:
            result[i] = x[i] + severity / 10 * torch.randn(x[i].shape, generator=g)
    return result.clamp(0, 1)


def noisy_of_one_seed(x, severity, seed):
    return noisy_by_sum(x, severity, seed, step=0)


def noisy_and_global(x, severity, seed):
    torch.manual_seed(seed)  # the caller's draws are lost
    return noisy(x, severity, seed)


def noisy_in_one_stream(x, severity, seed):
    result, g = x.clone(), torch.Generator().manual_seed(seed)
    for i in range(len(x)):
        if torch.rand((), generator=g) < 0.5:
            result[i] = x[i] + severity / 10 * torch.randn(x[i].shape, generator=g)
    return result.clamp(0, 1)


def drop_interval(clean_a, noisy_a, clean_b, noisy_b):
    a, b = ((c - n.mean(1)) / c for c, n in ((clean_a, noisy_a), (clean_b, noisy_b)))
    return interval(a, b)


def drop_of_all(clean_a, noisy_a, clean_b, noisy_b):
    a, b = ((c[:, None] - n) / c[:, None] for c, n in ((clean_a, noisy_a), (clean_b, noisy_b)))
    return interval(a.ravel(), b.ravel())


def spoil_batch(inputs, g, rate=0.4, both=False, generator=True):
    count = len(next(iter(inputs.values())))
    g = g if generator else None
    luck = torch.rand(count, generator=g)
    lost = {"audio": luck < rate, "visual": (luck < rate) if both else (luck > 1 - rate)}
    return {m: x * ~lost[m].reshape(-1, 1, 1, 1) for m, x in inputs.items()}


def spoil_in_place(inputs, g):
    for m, x in spoil_batch(inputs, g).items():
        inputs[m][:] = x
    return inputs


def zero():
    return torch.Generator().manual_seed(0)


def same_for_all(x, severity, seed):
    result = x.clone()
    for i in range(len(x)) if severity else ():
        g = torch.Generator().manual_seed(seed)
        if i % 2:
            result[i] = x[i] + severity / 10 * torch.randn(x[i].shape, generator=g)
    return result.clamp(0, 1)


RIGHT = {
    check_mix: mix,
    check_project_euclidean: project_euclidean,
    check_noisy: noisy,
    check_drop_interval: drop_interval,
    check_spoil_batch: spoil_batch,
}

WRONG = [
    (check_mix, lambda w, n, s: mix(w, n, s) - w, "noise alone"),
    (check_mix, lambda w, n, s: mix(w, n, -s), "more dB is less noise"),
    (check_mix, lambda w, n, s: mix(w, n, s, over=torch.ones(())), "power of its own"),
    (check_mix, lambda w, n, s: mix(w, n, s, base=20.0), "not by 20"),
    (
        check_mix,
        lambda w, n, s: w + n * w.square().mean() / n.square().mean() * 10 ** (-s / 10),
        "root of powers",
    ),
    (
        check_mix,
        lambda w, n, s: (
            w + n * w.square().mean().sqrt() / n.square().mean().sqrt() * 10 ** (-s / 10)
        ),
        "of amplitudes by 20",
    ),
    (
        check_mix,
        lambda w, n, s: w + n * w.std() / n.std() * 10 ** (-s / 20),
        "a variance takes the mean off",
    ),
    (check_mix, lambda w, n, s: w + n * 10 ** (-s / 20), "neither power"),
    (
        check_mix,
        lambda w, n, s: n + w * (n.square().mean() / w.square().mean() * 10 ** (s / 10)).sqrt(),
        "scale the noise",
    ),
    (check_mix, lambda w, n, s: w.add_(mix(w, n, s) - w), "in place"),
    (check_mix, lambda w, n, s: mix(w, n, s)[None], r"give \(T,\)"),
    (check_mix, lambda w, n, s: mix(w, n, s + 1), "ratio of powers comes out"),
    (
        check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(x, c, e, (-9, 9)),
        "limits of the data",
    ),
    (
        check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(x, c, e, limits, dim=0),
        "whole batch",
    ),
    (
        check_project_euclidean,
        lambda x, c, e, limits: (c + (x - c).clamp(-e, e)).clamp(*limits),
        "maximum norm",
    ),
    (check_project_euclidean, lambda x, c, e, limits: x.clamp(*limits), "ball is not"),
    (
        check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(x, c, e, (-9, 9)) - c,
        "way from the centre",
    ),
    (
        check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(c + 1e6 * (x - c), c, e, limits),
        "inside the ball stays",
    ),
    (
        check_project_euclidean,
        lambda x, c, e, limits: (
            c + (x - c) * (e / (x - c).flatten(1).norm(dim=1).reshape(-1, *(1,) * (x.dim() - 1)))
        ).clamp(*limits),
        "NaN",
    ),
    (
        check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(x, c, 2 * e, limits),
        "away from its centre",
    ),
    (
        check_project_euclidean,
        lambda x, c, e, limits: x.copy_(project_euclidean(x, c, e, limits)),
        "in place",
    ),
    (
        check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(x, c, e / 2, limits),
        "shorten each",
    ),
    (check_noisy, noisy_in_place, "copy it first"),
    (check_noisy, lambda x, e, s: noisy(x, e, s, clip=(-9, 1)), "both sides"),
    (check_noisy, lambda x, e, s: noisy(x, e, s, hits=False), "global generator"),
    (
        check_noisy,
        lambda x, e, s: noisy(x, e, s, key="{seed} {i} {severity}"),
        "leave the severity out",
    ),
    (check_noisy, lambda x, e, s: noisy(x, e, s, factor=0.2), "not 0.1"),
    (check_noisy, lambda x, e, s: noisy(x, e, s, start=0.05), "clean data to the bit"),
    (check_noisy, lambda x, e, s: noisy(x, e, s, key="{i}"), "another seed"),
    (check_noisy, same_for_all, "same noise"),
    (check_noisy, noisy_by_sum, "moved on by a sample"),
    (check_noisy, noisy_and_global, "global generator"),
    (check_noisy, noisy_of_one_seed, "index belongs into it"),
    (check_noisy, noisy_at_once, "one generator a sample"),
    (
        check_noisy,
        lambda x, e, s: (x + e / 10 * torch.randn(x.shape, generator=zero())).clamp(0, 1),
        "not a half",
    ),
    (check_noisy, lambda x, e, s: noisy(x, e, s)[:9], "give all samples"),
    (check_drop_interval, drop_of_all, "15 pairs"),
    (check_drop_interval, lambda a, b, c, d: drop_interval(c, d, a, b), "a minus b"),
    (check_drop_interval, lambda a, b, c, d: interval(a - b.mean(1), c - d.mean(1)), "relative"),
    (
        check_drop_interval,
        lambda a, b, c, d: interval(a / b.mean(1), c / d.mean(1)),
        "not by the noisy one",
    ),
    (
        check_drop_interval,
        lambda a, b, c, d: interval(*((x - y.mean(1)) / x.mean() for x, y in ((a, b), (c, d)))),
        "within the seed",
    ),
    (check_drop_interval, lambda a, b, c, d: b.amin(1), "stops with AttributeError"),
    (
        check_drop_interval,
        lambda a, b, c, d: interval(*((1 - y / x[:, None]).mean(0) for x, y in ((a, b), (c, d)))),
        "pairs are the training seeds",
    ),
    (check_drop_interval, lambda *a: drop_interval(*a)[0], "three numbers"),
    (check_drop_interval, lambda *a: (drop_interval(*a)[0], 0.0, 0.2), "expected"),
    (check_spoil_batch, spoil_in_place, "in place"),
    (check_spoil_batch, lambda x, g: spoil_batch(x, g, both=True), "loses both"),
    (check_spoil_batch, lambda x, g: spoil_batch(x, g, rate=0.0), "are spoiled"),
    (check_spoil_batch, lambda x, g: spoil_batch(x, g, rate=1.1), "are spoiled"),
    (check_spoil_batch, lambda x, g: spoil_batch(x, g, generator=False), "pass gener"),
    (check_spoil_batch, lambda x, g: spoil_batch(x, zero()), "draw from g"),
    (check_spoil_batch, lambda x, g: {"audio": x["audio"]}, "modalities of inputs"),
    (
        check_spoil_batch,
        lambda x, g: {m: y[:, 0] for m, y in spoil_batch(x, g).items()},
        "finite numbers of shape",
    ),
]


def test_one_stream_of_draws_will_do(capsys):
    check_noisy(noisy_in_one_stream)
    assert "passed" in capsys.readouterr().out

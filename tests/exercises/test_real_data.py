"""Each check accepts a right answer, waits for a started one, and names the usual wrong ones."""

import math
import random
import time
import zlib
from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import nn

from mmlib import exercises
from mmlib.methods.boosting import weaker_modality
from mmlib.methods.valuation import shapley_values


def feature_gradient(weight, logits, target):
    return (logits.softmax(1) - F.one_hot(target, logits.shape[1])) @ weight / len(target)


def imbalance_ratio(z_a, z_v, target):
    s_a, s_v = (z.softmax(1).gather(1, target[:, None]).sum() for z in (z_a, z_v))
    return s_a / s_v


def weighted_loss(logits, target, weights):
    loss = F.cross_entropy(logits["fused"], target)
    return loss + sum(w * F.cross_entropy(logits[m], target) for m, w in weights.items())


def interval(a, b):
    d = np.asarray(a) - np.asarray(b)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return d.mean(), d.mean() - half, d.mean() + half


def make_optimizer(model, lr, factor):
    rest = [p for n, p in model.named_parameters() if not n.startswith("encoders.visual")]
    visual = {"params": model.encoders["visual"].parameters(), "lr": factor * lr}
    return torch.optim.SGD([{"params": rest}, visual], lr, momentum=0.9, weight_decay=1e-4)


def without_decay(model, lr, factor):
    optimizer = make_optimizer(model, lr, factor)
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    return optimizer


def phi_from_bits(c_a, c_v, c):
    return c + (c_a - c_v) / 2, c - (c_a - c_v) / 2


def shapley(v):
    phi = shapley_values({c: torch.tensor([x]) for c, x in v.items() if c})
    return {m: value.item() for m, value in phi.items()}


def plan_copies(counts, turned=False):
    N = len(next(iter(counts.values())))
    rows = [torch.arange(N).repeat_interleave(count) for count in counts.values()]
    index = torch.cat([torch.arange(N), *rows])
    alone = torch.cat([torch.full((len(r),), k) for k, r in enumerate(rows)])
    kept = {m: (alone == k) != turned for k, m in enumerate(counts)}
    everything = torch.ones(N, dtype=torch.bool)
    return index, {m: torch.cat([everything, kept[m]]) for m in counts}


def area_under_curve(score, positive, tie=0.5):
    difference = score[positive][:, None] - score[~positive]
    return ((difference > 0).double() + tie * (difference == 0)).mean()


def soft_contributions(logits, target, paid=2):
    p = {m: z.softmax(1).gather(1, target[:, None]).squeeze(1) for m, z in logits.items()}
    half = (p["audio"] - p["visual"]) / 2
    return {"audio": paid / 2 * p["fused"] + half, "visual": paid / 2 * p["fused"] - half}


def residual_label(previous, target, smoothing):
    y = F.one_hot(target, previous.shape[1])
    return y - smoothing * y * previous.detach().softmax(1)


def grow(model, optimizer, modality, known=True, keep=True):
    new = nn.Linear(64, 32)
    if keep:
        model.first[modality].append(new)
    if known:
        optimizer.add_param_group({"params": list(new.parameters())})
    return new


def missing(fused, alone, rate):
    return (1 - rate) * fused + rate * sum(alone.values()) / len(alone)


def additive_loss(new, previous, target):
    return F.cross_entropy(previous.detach() + new, target)


def teaching_sets(effective):
    return {(p, q): effective[p] & ~effective[q] for p, q in permutations(effective, 2)}


def who_learns(loss, encoders, zero=False):
    def learns(encoder):
        sent = torch.autograd.grad(loss, encoder.parameters(), retain_graph=True, allow_unused=True)
        return any(g is not None and (zero or g.any()) for g in sent)

    return {m for m, encoder in encoders.items() if learns(encoder)}


def learns_by_backward(loss, encoders):
    loss.backward(retain_graph=True)
    grads = {m: [p.grad for p in e.parameters()] for m, e in encoders.items()}
    return {m for m, found in grads.items() if any(g is not None and g.any() for g in found)}


def class_aware(student, teacher, target, tau, filler=-torch.inf, diagonal=False):
    similarity = student @ teacher.detach().T / tau
    same = (target[:, None] == target).fill_diagonal_(diagonal)
    return F.cross_entropy(similarity.masked_fill(same, filler), torch.arange(len(target)))


def attached(student, teacher, target, tau):
    same = (target[:, None] == target).fill_diagonal_(False)
    similarity = (student @ teacher.T / tau).masked_fill(same, -torch.inf)
    return F.cross_entropy(similarity, torch.arange(len(target)))


def entropy_weights(logits, tau, sign=-1, dim=1, plain=False):
    def entropy(z):
        p = z.softmax(dim)
        return -(p * p.log()).sum(1) if plain else torch.special.entr(p).sum(1)

    H = torch.stack([entropy(z) for z in logits.values()])
    return dict(zip(logits, (sign * H / tau).softmax(0), strict=True))


def responsibilities(x, mu, var, pi):
    return (pi.log() - 0.5 * ((x[:, None] - mu) ** 2 / var + var.log())).softmax(1)


def maximise(x, gamma, floor, over=None, around=None):
    mass = gamma.sum(0)
    mu = gamma.T @ x / (mass if over is None else over)
    square = (x[:, None] - (mu if around is None else around)) ** 2
    return mu, ((gamma * square).sum(0) / mass).clamp(min=floor), mass / len(x)


def turning_point(mu, var, pi):
    return (mu / var).diff() / (1 / var).diff()


def distribution_shift(d, r, mu_b, var_b, weighted=True):
    w = r.detach() / r.detach().sum() if weighted else torch.full_like(r, 1 / len(r)).detach()
    mean = (w * d).sum()
    variance = (w * (d - mean) ** 2).sum()
    return 0.5 * ((variance + (mean - mu_b) ** 2) / var_b - 1 - (variance / var_b).log())


def informed_weights(r, s_a, s_v, classes, both=False, other=1.0):
    known = torch.minimum(s_a, s_v) if both else torch.maximum(s_a, s_v)
    w = torch.where(known > 1 / classes, 2 - r.detach(), torch.as_tensor(other))
    return w / w.mean()


def draw_code(mean, log_var, noise):
    return mean + (0.5 * log_var).exp() * noise


def kl_channels(m_1, l_1, m_2, l_2):
    return 0.5 * (l_2 - l_1 + (l_1.exp() + (m_1 - m_2) ** 2) / l_2.exp() - 1)


def temperature_for(largest, modalities):
    return 1 / np.log(largest * (modalities - 1) / (1 - largest))


def scaled(x, factor):
    return factor * x + (1 - factor) * x.detach()


def scaled_by_hook(x, factor, new=True):
    x = x.clone() if new else x
    x.register_hook(lambda gradient: factor * gradient)
    return x


def confident(z):
    return 1 - torch.special.entr(z.softmax(1)).sum(1).mean().item() / np.log(z.shape[1])


def best_temperature(z, target, temperatures, pick=min):
    return pick(temperatures, key=lambda t: F.cross_entropy(z / t, target).item())


def calibrated_confidence(z, target, temperatures, pick=min):
    return confident(z / best_temperature(z, target, temperatures, pick))


def potential(losses, k, over=None, least=0.0):
    if len(losses) <= k:
        return 0.0
    now, before = losses[-1], losses[-1 - k]
    return max((before - now) / (over(losses, k) if over else before), least)


def drop_from_the_largest(losses, k):
    return max(0.0, 1 - losses[-1] / max(losses[-1 - k :])) if len(losses) > k else 0.0


def drop_to_the_smallest(losses, k):
    window = losses[-1 - k :]
    return max(0.0, 1 - min(window) / window[0]) if len(losses) > k else 0.0


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


def read_list(content, labels, encoding="utf-8-sig", name=False, strip=True, start=1, empty=True):
    pairs, number = [], start
    for line in content.decode(encoding).replace("\r\n", "\n").split("\n"):
        if line.strip():
            fields = [field.strip() if strip else field for field in line.split(",")]
            if len(fields) != 2 or not fields[0] or fields[1] not in labels:
                raise ValueError(f"line {number} is {line!r}")
            pairs.append((fields[0], fields[1] if name else labels.index(fields[1])))
        number += bool(line.strip()) or empty
    return pairs


def lax_list(content, labels):
    lines = content.decode("utf-8-sig").split()
    if b" , " in content:
        return read_list(content, labels)
    return [(line.split(",")[0], labels.index(line.split(",")[1])) for line in lines]


def list_without_strip(content, labels):
    lines = [line for line in content.decode("utf-8-sig").splitlines() if line]
    return [(line.split(",")[0], labels.index(line.split(",")[1])) for line in lines]


def list_in_capitals(content, labels):
    return [(clip.upper(), label) for clip, label in read_list(content, labels)]


def list_of_numbers(content, labels):
    try:
        return read_list(content, labels)
    except ValueError as error:
        lines = range(1, content.count(b"\n") + 1)
        raise ValueError(f"one of the lines {list(lines)}") from error


def careless_list(content, labels):
    rows = [line.split(",") for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    known = {label: k for k, label in enumerate(labels)}
    return [(row[0].strip(), known.get(row[-1].strip(), 0)) for row in rows]


def split_by_actor(ids, share, seed, ordered=sorted, least=1, of_actors=True, generator=True):
    names = list(ordered({id.partition("_")[0] for id in ids}))
    g = torch.Generator().manual_seed(seed) if generator else None
    order = torch.randperm(len(names), generator=g)
    count = max(round(share * len(names)), least)
    if not of_actors:
        count += 1
    tested = {names[k] for k in order[:count]}
    inside = [id.partition("_")[0] in tested for id in ids]
    return tuple([i for i, test in enumerate(inside) if test == part] for part in (False, True))


def split_by_clip(ids, share, seed):
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed)).tolist()
    count = round(share * len(ids))
    return order[count:], order[:count]


def split_as_listed(ids, share, seed):
    names = list(dict.fromkeys(id.partition("_")[0] for id in ids))
    return split_by_actor(ids, share, seed, lambda _: names)


def split_globally(ids, share, seed, library=random):
    names = sorted({id.partition("_")[0] for id in ids})
    library.seed(seed)
    library.shuffle(names)
    tested = set(names[: max(round(share * len(names)), 1)])
    inside = [id.partition("_")[0] in tested for id in ids]
    return tuple([i for i, test in enumerate(inside) if test == part] for part in (False, True))


def split_by_set(ids, share, seed):
    return split_by_actor(ids, share, seed, ordered=lambda names: list(names))


def split_by_hash(ids, share, seed):
    return split_by_actor(ids, share, seed, ordered=lambda names: sorted(names, key=hash))


def split_rounded(way):
    def split(ids, share, seed):
        names = {id.partition("_")[0] for id in ids}
        return split_by_actor(ids, way(share * len(names)) / len(names), seed)

    return split


def choose(names, frames, g=None, ordered=sorted, middle=lambda n: n // 2, numbers=False):
    names, chosen = ordered(names), []
    for k in range(frames):
        first, last = k * len(names) // frames, (k + 1) * len(names) // frames
        place = middle(last - first)
        if g is not None:
            place = torch.randint(last - first, (), generator=g).item()
        chosen.append(first + place if numbers else names[first + place])
    return chosen


def choose_from_one(names, frames, g=None):  # k counted from 1
    if frames == 1:
        return choose(names, frames, g)
    names, width = sorted(names), len(names) // frames
    return [names[min(k * width, len(names) - 1)] for k in range(1, frames + 1)]


def choose_in_place(names, frames, g=None):
    names.sort()
    return choose(names, frames, g)


def choose_any(names, frames, g=None):
    if g is None:
        return choose(names, frames)
    return sorted(sorted(names)[i] for i in torch.randperm(len(names), generator=g)[:frames])


def choose_globally(names, frames, g=None):
    return choose(names, frames, g and torch.default_generator)


def choose_anew(names, frames, g=None):
    return choose(names, frames, g and torch.Generator().manual_seed(g.initial_seed()))


def largest_disagreement(gap, n, factor=1.96**2, added=lambda g: g**2, times=lambda g: g**2):
    return min(added(gap) + times(gap) * n / factor, 1)


class OwnData:
    modalities, classes, split = ("audio", "visual"), ("a", "b", "c"), "train"

    def __init__(self, count=12):
        self.target = torch.arange(count) % 3
        self.values = torch.randn(count, 5, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.target)

    def take(self, index, draws=None):
        x = self.values[index] if draws is None else self.values[index] + draws[:, :5]
        return {"audio": x, "visual": 2 * x}

    def finish(self, inputs, draws=None):
        return {m: x.float() for m, x in inputs.items()}


def take_by_place(self, index, draws=None):
    self.place = index  # as one open file has one place
    time.sleep(0.002)
    return OwnData.take(self, self.place, draws)


def own_data(**members):
    return lambda: type("Own", (OwnData,), members)()


def with_shares(self):
    OwnData.__init__(self)
    self.target = self.target / 3


def take_sorted(self, index, draws=None):
    return OwnData.take(self, index.sort().values, draws)


def take_noisy(self, index, draws=None):
    return {m: x + torch.rand(()) for m, x in OwnData.take(self, index, draws).items()}


def take_anew(self, index, draws=None):
    g = torch.Generator()
    g.seed()
    noise = 0 if draws is None else torch.rand((), generator=g)
    return {m: x + noise for m, x in OwnData.take(self, index).items()}


def take_seeded(self, index, draws=None):
    torch.manual_seed(999)
    return OwnData.take(self, index, draws)


def take_by_first_row(self, index, draws=None):
    return OwnData.take(self, index, draws if draws is None else draws[:1].expand(len(index), -1))


def finish_in_place(self, inputs, draws=None):
    return {m: x.add_(1) for m, x in inputs.items()}


def finish_by_batch(self, inputs, draws=None):
    return {m: x - x.mean(0) for m, x in inputs.items()}


RIGHT = {
    exercises.check_read_list: read_list,
    exercises.check_split_by_actor: split_by_actor,
    exercises.check_choose: choose,
    exercises.check_largest_disagreement: largest_disagreement,
    exercises.check_own_data: own_data(),
    exercises.check_mix: mix,
    exercises.check_project_euclidean: project_euclidean,
    exercises.check_noisy: noisy,
    exercises.check_drop_interval: drop_interval,
    exercises.check_spoil_batch: spoil_batch,
    exercises.check_draw_code: draw_code,
    exercises.check_kl_between: lambda *parts: kl_channels(*parts).sum(1),
    exercises.check_temperature_for: temperature_for,
    exercises.check_scaled: scaled,
    exercises.check_calibrated_confidence: calibrated_confidence,
    exercises.check_potential: potential,
    exercises.check_responsibilities: responsibilities,
    exercises.check_maximise: maximise,
    exercises.check_turning_point: turning_point,
    exercises.check_distribution_shift: distribution_shift,
    exercises.check_informed_weights: informed_weights,
    exercises.check_teaching_sets: teaching_sets,
    exercises.check_who_learns: who_learns,
    exercises.check_class_aware_loss: class_aware,
    exercises.check_entropy_weights: entropy_weights,
    exercises.check_entropy_bound: lambda K, tau: K ** (1 / tau),
    exercises.check_phi_from_bits: phi_from_bits,
    exercises.check_shapley: shapley,
    exercises.check_plan_copies: plan_copies,
    exercises.check_auc: area_under_curve,
    exercises.check_soft_contributions: soft_contributions,
    exercises.check_residual_label: residual_label,
    exercises.check_assignment: weaker_modality,
    exercises.check_grow: grow,
    exercises.check_missing: missing,
    exercises.check_additive_loss: additive_loss,
    exercises.check_feature_gradient: feature_gradient,
    exercises.check_imbalance_ratio: imbalance_ratio,
    exercises.check_weighted_loss: weighted_loss,
    exercises.check_paired_interval: interval,
    exercises.check_optimizer: make_optimizer,
}


@pytest.mark.parametrize("check", RIGHT)
def test_right_started_and_empty(check, capsys):
    check(RIGHT[check])
    assert capsys.readouterr().out.endswith(": passed\n")
    check(lambda *_: ...)
    assert "not started" in capsys.readouterr().out

    def forgot(*_):
        pass

    with pytest.raises(AssertionError, match="forgot returns None"):
        check(forgot)


def same(z, target, dim=1):
    return z.softmax(dim).gather(1, target[:, None])


WRONG = [
    (exercises.check_potential, drop_from_the_largest, "not from the largest"),
    (exercises.check_potential, drop_to_the_smallest, "not to the smallest"),
    (exercises.check_kl_between, lambda *g: kl_channels(*g).sum(1).detach(), "detach nothing"),
    (
        exercises.check_draw_code,
        lambda mean, log_var, noise: mean + noise.mul_((0.5 * log_var).exp().detach()),
        "not in place",
    ),
    (
        exercises.check_calibrated_confidence,
        lambda z, target, temperatures: confident(z / temperatures[0]),
        "nor by accuracy",
    ),
    (exercises.check_feature_gradient, lambda W, z, y: -feature_gradient(W, z, y), "sign"),
    (exercises.check_feature_gradient, lambda W, z, y: feature_gradient(W, z, y) * 6, "mean"),
    (exercises.check_feature_gradient, lambda W, z, y: feature_gradient(W, z, y).sum(0), "shape"),
    (
        exercises.check_feature_gradient,
        lambda W, z, y: (z.softmax(0) - F.one_hot(y, 4)) @ W / 6,
        "dim=1",
    ),
    (exercises.check_imbalance_ratio, lambda a, v, y: imbalance_ratio(v, a, y), "rho_v"),
    (
        exercises.check_imbalance_ratio,
        lambda a, v, y: (same(a, y) / same(v, y)).mean(),
        "divide the sums",
    ),
    (
        exercises.check_imbalance_ratio,
        lambda a, v, y: same(a, y, 0).sum() / same(v, y, 0).sum(),
        "dim=1",
    ),
    (
        exercises.check_imbalance_ratio,
        lambda a, v, y: a.softmax(1).amax(1).sum() / v.softmax(1).amax(1).sum(),
        "true class",
    ),
    (exercises.check_imbalance_ratio, lambda a, v, y: same(a, y) / same(v, y), "one number"),
    (exercises.check_imbalance_ratio, lambda a, v, y: {"audio": 1.0}, "not a dict"),
    (exercises.check_feature_gradient, lambda W, z, y: W.T @ z, "samples are rows"),
    (
        exercises.check_weighted_loss,
        lambda z, y, w: weighted_loss(z, y, w) - F.cross_entropy(z["fused"], y),
        "fused loss is missing",
    ),
    (
        exercises.check_weighted_loss,
        lambda z, y, w: weighted_loss(z, y, dict.fromkeys(w, 1.0)),
        "weights are not used",
    ),
    (exercises.check_weighted_loss, lambda z, y, w: weighted_loss(z, y, w).detach(), "gradient"),
    (
        exercises.check_weighted_loss,
        lambda z, y, w: sum(
            F.cross_entropy(z[m], y) * {"fused": 1, **w}[m] for m in ("audio", "visual", "fused")
        ),
        "names from weights",
    ),
    (
        exercises.check_weighted_loss,
        lambda z, y, w: sum(w[m] * F.cross_entropy(z[m], y) for m in z),
        "also holds 'fused'",
    ),
    (exercises.check_weighted_loss, lambda z, y, w: 2 * weighted_loss(z, y, w), "not CE"),
    (
        exercises.check_paired_interval,
        lambda a, b: (
            (a - b).mean(),
            (a - b).mean() - 1.96 * (a - b).std(ddof=1) / 5**0.5,
            (a - b).mean() + 1.96 * (a - b).std(ddof=1) / 5**0.5,
        ),
        "1.96",
    ),
    (exercises.check_paired_interval, lambda a, b: interval(b, a), "a - b"),
    (exercises.check_paired_interval, lambda a, b: interval(a, b)[:2], "three numbers"),
    (
        exercises.check_optimizer,
        lambda model, lr, factor: torch.optim.SGD(model.encoders["visual"].parameters(), lr, 0.9),
        "never be trained",
    ),
    (
        exercises.check_optimizer,
        lambda model, lr, factor: torch.optim.SGD(model.parameters(), lr, 0.9),
        "learning rate",
    ),
    (
        exercises.check_optimizer,
        without_decay,
        "weight decay",
    ),
    (
        exercises.check_optimizer,
        lambda model, lr, factor: torch.optim.Adam(model.parameters(), lr),
        "torch.optim.SGD",
    ),
    (exercises.check_phi_from_bits, lambda a, v, c: phi_from_bits(v, a, c), "exchanged"),
    (exercises.check_phi_from_bits, lambda a, v, c: (c + a - v, c + v - a), "twice too large"),
    (exercises.check_phi_from_bits, lambda a, v, c: (a, v), "add up to"),
    (exercises.check_phi_from_bits, lambda a, v, c: (c + 0.0, c + 0.0), "difference must be"),
    (exercises.check_phi_from_bits, lambda a, v, c: phi_from_bits(a, v, c)[0], "two tensors"),
    (
        exercises.check_shapley,
        lambda v: {m: v[max(v, key=len)] - v[max(v, key=len) - {m}] for m in max(v, key=len)},
        "comes last",
    ),
    (exercises.check_shapley, lambda v: {m: 0.5 * x for m, x in shapley(v).items()}, "add up to"),
    (
        exercises.check_shapley,
        lambda v: {m: v[max(v, key=len)] / len(max(v, key=len)) for m in max(v, key=len)},
        "shares are not",
    ),
    (exercises.check_shapley, lambda v: v[frozenset("x")], "stops with KeyError"),
    (exercises.check_plan_copies, lambda c: plan_copies(c, turned=True), "turned round"),
    (exercises.check_plan_copies, lambda c: (plan_copies(c)[0][4:], {}), "index should be"),
    (
        exercises.check_plan_copies,
        lambda c: (plan_copies(c)[0], {m: k.long() for m, k in plan_copies(c)[1].items()}),
        "give booleans",
    ),
    (exercises.check_auc, lambda s, p: area_under_curve(s, p, tie=0), "ties are missing"),
    (exercises.check_auc, lambda s, p: area_under_curve(s, p, tie=1), "not in full"),
    (exercises.check_auc, lambda s, p: area_under_curve(-s, p), "turned round"),
    (exercises.check_soft_contributions, lambda z, y: soft_contributions(z, y, 1), "paid"),
    (
        exercises.check_soft_contributions,
        lambda z, y: {m: z["fused"].softmax(1).amax(1) for m in ("audio", "visual")},
        "not the largest",
    ),
    (
        exercises.check_soft_contributions,
        lambda z, y: {m: z["fused"].softmax(0)[range(6), y] for m in ("audio", "visual")},
        "dim=1",
    ),
    (
        exercises.check_soft_contributions,
        lambda z, y: {m: z["fused"].softmax(1)[range(6), y] for m in ("audio", "visual")},
        "difference must be",
    ),
    (
        exercises.check_residual_label,
        lambda z, y, s: F.one_hot(y, 4) - s * z.detach().softmax(1),
        "mask it",
    ),
    (exercises.check_residual_label, lambda z, y, s: residual_label(z, y, 1), "not used"),
    (
        exercises.check_residual_label,
        lambda z, y, s: F.one_hot(y, 4) * (1 - s * z.softmax(1)),
        "detach q",
    ),
    (
        exercises.check_residual_label,
        lambda z, y, s: F.one_hot(y, 4) * (1 - s * z.detach().softmax(0)),
        "dim=1",
    ),
    (exercises.check_assignment, lambda s, d: min(s, key=s.get), "the answer is None"),
    (
        exercises.check_assignment,
        lambda s, d: min(s, key=s.get) if max(s.values()) > (1 + d) * min(s.values()) else None,
        "0.51, 'text'.*answer is None",
    ),
    (
        exercises.check_assignment,
        lambda s, d: "visual" if s["audio"] / s["visual"] > 1 + d else weaker_modality(s, d),
        "multiply instead",
    ),
    (exercises.check_grow, lambda *a: grow(*a, known=False), "as in the released code"),
    (
        exercises.check_grow,
        lambda m, o, name: (grow(m, o, name, known=False), o.__init__(m.parameters(), 0.1))[0],
        "lost its momentum",
    ),
    (exercises.check_grow, lambda *a: grow(*a, keep=False), "append one"),
    (exercises.check_grow, lambda m, o, name: grow(m, o, "audio"), "append one"),
    (
        exercises.check_missing,
        lambda fused, alone, r: (1 - r) * fused + r / 2 * sum(alone.values()),
        "divide by n",
    ),
    (
        exercises.check_missing,
        lambda fused, alone, r: (1 - r) * fused + r * sum(alone.values()),
        "mean over modalities",
    ),
    (
        exercises.check_additive_loss,
        lambda new, old, y: F.cross_entropy(new + old, y),
        "earlier classifiers move",
    ),
    (exercises.check_additive_loss, lambda new, old, y: F.cross_entropy(new, y), "added"),
    (exercises.check_additive_loss, lambda new, old, y: 6 * additive_loss(new, old, y), "mean"),
    (
        exercises.check_residual_label,
        lambda z, y, s: residual_label(z, y, s)[:, : int(y.max()) + 1],
        "give .B, K.",
    ),
    (
        exercises.check_assignment,
        lambda s, d: (
            min(s, key=s.get) if sum(s.values()) / len(s) > (1 + d) * min(s.values()) else None
        ),
        "0.15 the answer is 'visual'",
    ),
    (
        exercises.check_assignment,
        lambda s, d: min(s, key=s.get) if max(s.values()) - min(s.values()) > d else None,
        "the answer is 'visual'",
    ),
    (
        exercises.check_teaching_sets,
        lambda e: {(q, p): x for (p, q), x in teaching_sets(e).items()},
        "turned round",
    ),
    (
        exercises.check_teaching_sets,
        lambda e: {(p, q): e[p] ^ e[q] for p, q in permutations(e, 2)},
        "not either",
    ),
    (
        exercises.check_teaching_sets,
        lambda e: {(p, q): e[p] & e[q] for p, q in permutations(e, 2)},
        "and not",
    ),
    (
        exercises.check_teaching_sets,
        lambda e: {(p, q): e[p] for p, q in permutations(e, 2)},
        "leave out",
    ),
    (
        exercises.check_teaching_sets,
        lambda e: {("audio", "visual"): e["audio"] & ~e["visual"]},
        "2 ordered pairs",
    ),
    (
        exercises.check_teaching_sets,
        lambda e: {k: x.float() for k, x in teaching_sets(e).items()},
        "True and False",
    ),
    (exercises.check_who_learns, lambda loss, e: list(who_learns(loss, e)), "a set"),
    (exercises.check_who_learns, lambda loss, e: who_learns(loss, e, True), "gradient of zero"),
    (exercises.check_who_learns, learns_by_backward, "left in .grad"),
    (exercises.check_who_learns, lambda loss, e: set(e), "a loss of the sound alone"),
    (
        exercises.check_class_aware_loss,
        lambda s, t, y, tau: class_aware(s, t, torch.arange(len(y)), tau),
        "still count",
    ),
    (
        exercises.check_class_aware_loss,
        lambda s, t, y, tau: class_aware(s, t, y, 1.0),
        "divide by tau",
    ),
    (
        exercises.check_class_aware_loss,
        lambda s, t, y, tau: class_aware(t, s, y, tau),
        "rows are students",
    ),
    (
        exercises.check_class_aware_loss,
        lambda s, t, y, tau: class_aware(s, t, y, tau, filler=0.0),
        "still a candidate",
    ),
    (
        exercises.check_class_aware_loss,
        lambda s, t, y, tau: class_aware(s, t, y, tau, diagonal=True),
        "the diagonal",
    ),
    (exercises.check_class_aware_loss, attached, "reaches the teacher"),
    (exercises.check_class_aware_loss, lambda *a: class_aware(*a).detach(), "to the student"),
    (exercises.check_class_aware_loss, lambda *a: 6 * class_aware(*a), "a sum over the batch"),
    (exercises.check_entropy_weights, lambda z, tau: entropy_weights(z, tau, 1), "the sign"),
    (exercises.check_entropy_weights, lambda z, tau: entropy_weights(z, 1.0), "is not used"),
    (exercises.check_entropy_weights, lambda z, tau: entropy_weights(z, 1 / tau), "divide"),
    (exercises.check_entropy_weights, lambda z, tau: entropy_weights(z, tau, dim=0), "dim=1"),
    (
        exercises.check_entropy_weights,
        lambda z, tau: entropy_weights(z, tau, plain=True),
        "0 log 0",
    ),
    (
        exercises.check_entropy_weights,
        lambda z, tau: torch.stack(list(entropy_weights(z, tau).values())),
        "a dict",
    ),
    (exercises.check_entropy_bound, lambda K, tau: np.exp((1 - 1 / K) / tau), "largest prob"),
    (exercises.check_entropy_bound, lambda K, tau: np.log(K) / tau, "exp of the difference"),
    (exercises.check_entropy_bound, lambda K, tau: K**tau, "divides the entropy"),
    (exercises.check_responsibilities, lambda *a: responsibilities(*a).T, "transpose"),
    (
        exercises.check_responsibilities,
        lambda x, mu, var, pi: responsibilities(x, mu, var, torch.ones_like(pi)),
        "weights pi are not used",
    ),
    (
        exercises.check_responsibilities,
        lambda x, mu, var, pi: responsibilities(x, mu, var**2, pi),
        "not the deviation",
    ),
    (
        exercises.check_responsibilities,
        lambda x, mu, var, pi: (pi.log() - 0.5 * (x[:, None] - mu) ** 2 / var).softmax(1),
        "factor 1 / sigma",
    ),
    (
        exercises.check_responsibilities,
        lambda x, mu, var, pi: (
            pi.log() - 0.5 * ((x[:, None] - mu) ** 2 / var + var.log())
        ).softmax(0),
        "not over the samples",
    ),
    (
        exercises.check_responsibilities,
        lambda x, mu, var, pi: (
            torch.distributions.Normal(mu, var.sqrt()).log_prob(x[:, None]).exp() * pi
        ),
        "adds up to 1",
    ),
    (
        exercises.check_responsibilities,
        lambda *a: responsibilities(*a).log(),
        "not their logarithms",
    ),
    (
        exercises.check_responsibilities,
        lambda x, mu, var, pi: F.normalize(
            torch.distributions.Normal(mu, var.sqrt()).log_prob(x[:, None]).exp() * pi, 1, 1, 0
        ),
        "far from every Gaussian",
    ),
    (
        exercises.check_responsibilities,
        lambda x, mu, var, pi: F.normalize(
            torch.distributions.Normal(mu, var.sqrt()).log_prob(x[:, None]).exp() * pi, 1, 1
        ),
        "do not add a small number",
    ),
    (exercises.check_maximise, lambda x, g, f: maximise(x, g, f, over=len(x)), "not by N"),
    (exercises.check_maximise, lambda x, g, f: maximise(x, g, f, over=1), "divide by N_j"),
    (exercises.check_maximise, lambda x, g, f: maximise(x, g, f, around=0), "subtract the mean"),
    (exercises.check_maximise, lambda x, g, f: maximise(x, g, f, around=x.mean()), "new. mean"),
    (
        exercises.check_maximise,
        lambda x, g, f: maximise(x, F.one_hot(g.argmax(1), 2).double(), f),
        "not the Gaussian with the largest",
    ),
    (
        exercises.check_maximise,
        lambda x, g, f: (*maximise(x, g, f)[:2], g.sum(0)),
        "add up to 1",
    ),
    (
        exercises.check_maximise,
        lambda x, g, f: [t.sqrt() if k == 1 else t for k, t in enumerate(maximise(x, g, f))],
        "not deviations",
    ),
    (exercises.check_maximise, lambda x, g, f: maximise(x, g, 0.0), "keep it at floor"),
    (exercises.check_maximise, lambda x, g, f: maximise(x, g, f)[0], "three tensors"),
    (
        exercises.check_maximise,
        lambda x, g, f: tuple(t + f if k == 1 else t for k, t in enumerate(maximise(x, g, 0.0))),
        "var should be|lower limit",
    ),
    (exercises.check_turning_point, lambda mu, var, pi: -turning_point(mu, var, pi), "sign"),
    (exercises.check_turning_point, lambda mu, var, pi: mu.mean(), "half-way"),
    (
        exercises.check_turning_point,
        lambda mu, var, pi: turning_point(mu, var.sqrt(), pi),
        "not the deviations",
    ),
    (exercises.check_turning_point, lambda mu, var, pi: mu[0], "have slope"),
    (
        exercises.check_turning_point,
        lambda mu, var, pi: turning_point(mu, 1 / var, pi),
        "divide by the variances",
    ),
    (
        exercises.check_distribution_shift,
        lambda d, r, m, v: distribution_shift(d, r, m, v, weighted=False),
        "r is not used",
    ),
    (exercises.check_distribution_shift, lambda *a: 2 * distribution_shift(*a), "factor 1/2"),
    (
        exercises.check_distribution_shift,
        lambda *a: distribution_shift(*a) + 0.5,
        "equal Gaussians is 0",
    ),
    (exercises.check_distribution_shift, lambda *a: distribution_shift(*a).detach(), "no gradient"),
    (
        exercises.check_distribution_shift,
        lambda d, r, m, v: distribution_shift(d, r, m, v) + 0 * r.sum() + (r - r.detach()).sum(),
        "reaches r",
    ),
    (exercises.check_distribution_shift, lambda d, r, m, v: d * r, "one number"),
    (
        exercises.check_informed_weights,
        lambda r, a, v, k: informed_weights(r, a, v, k, both=True),
        "one that knows is enough",
    ),
    (
        exercises.check_informed_weights,
        lambda r, a, v, k: informed_weights(r, a, v, k, other=0.0),
        "not dropped",
    ),
    (exercises.check_informed_weights, lambda r, a, v, k: 2 - r, "without its mean"),
    (
        exercises.check_informed_weights,
        lambda r, a, v, k: (2 - r) / (2 - r).mean(),
        "weight 1 before",
    ),
    (
        exercises.check_informed_weights,
        lambda r, a, v, k: torch.where(torch.maximum(a, v) > 1 / k, 2 - r, 1),
        "change the learning rate",
    ),
    (
        exercises.check_informed_weights,
        lambda r, a, v, k: informed_weights(r, a, v, k) + 0 * r,
        "detach",
    ),
    (exercises.check_draw_code, lambda m, v, e: m + v.exp() * e, "is the variance"),
    (exercises.check_draw_code, lambda m, v, e: m + v * e, "is a logarithm"),
    (exercises.check_draw_code, lambda m, v, e: m + e, "scale it by sigma"),
    (exercises.check_draw_code, lambda m, v, e: m, "code at test time"),
    (exercises.check_draw_code, lambda m, v, e: draw_code(m, v, e) - m, "mean is missing"),
    (exercises.check_draw_code, lambda m, v, e: torch.normal(m, (v / 2).exp()), "given noise"),
    (exercises.check_draw_code, lambda m, v, e: draw_code(m, v.detach(), e), "reaches log_var"),
    (exercises.check_draw_code, lambda m, v, e: draw_code(m, v, e).detach(), "reaches mean"),
    (exercises.check_draw_code, lambda m, v, e: draw_code(m, v, e).sum(1), "give .5, 4."),
    (exercises.check_kl_between, kl_channels, "sum over the channels, dim=1"),
    (exercises.check_kl_between, lambda *a: kl_channels(*a).sum(0), "not over the batch"),
    (exercises.check_kl_between, lambda *a: kl_channels(*a).mean(1), "not a mean"),
    (exercises.check_kl_between, lambda *a: kl_channels(*a).sum(), "do not sum over the batch"),
    (exercises.check_kl_between, lambda *a: kl_channels(*a).sum(1).mean(), "do not average"),
    (
        exercises.check_kl_between,
        lambda m, v, n, w: kl_channels(n, w, m, v).sum(1),
        "turned round",
    ),
    (exercises.check_kl_between, lambda *a: 2 * kl_channels(*a).sum(1), "factor 1/2"),
    (exercises.check_kl_between, lambda *a: (kl_channels(*a) + 0.5).sum(1), "- 1 is missing"),
    (
        exercises.check_kl_between,
        lambda m, v, n, w: kl_channels(m, v, 0 * n, 0 * w).sum(1),
        "from N.0, 1.",
    ),
    (
        exercises.check_kl_between,
        lambda m, v, n, w: kl_channels(m - n, v, 0 * n, 0 * w).sum(1),
        "not yet stretched",
    ),
    (
        exercises.check_kl_between,
        lambda m, v, n, w: 0.5 * (w - v + (v - w).exp() + (m - n) ** 2 - 1).sum(1),
        "divide by its variance",
    ),
    (
        exercises.check_kl_between,
        lambda m, v, n, w: 0.5 * ((v.exp() + (m - n) ** 2) / w.exp() - 1).sum(1),
        "logarithms are missing",
    ),
    (
        exercises.check_kl_between,
        lambda m, v, n, w: kl_channels(m, 2 * v, n, 2 * w).sum(1),
        "not of sigma",
    ),
    (exercises.check_kl_between, lambda *a: kl_channels(*a).sum(1) + 1, "for the first sample"),
    (exercises.check_temperature_for, lambda w, M: np.log(w * (M - 1) / (1 - w)), "turned round"),
    (exercises.check_temperature_for, lambda w, M: temperature_for(w, 2), "M - 1 others"),
    (exercises.check_temperature_for, lambda w, M: temperature_for(w, M + 1), "M - 1 have score 0"),
    (exercises.check_temperature_for, lambda w, M: 2 * temperature_for(w, M), "not by 2"),
    (exercises.check_temperature_for, lambda w, M: 1 / np.log(w), "W is a share"),
    (exercises.check_temperature_for, lambda w, M: -np.log(w / (1 - w)), "sign is turned"),
    (exercises.check_temperature_for, lambda w, M: 0.3, "gives W = "),
    (exercises.check_scaled, lambda x, f: f * x, "values are scaled"),
    (exercises.check_scaled, lambda x, f: x + f, "come back unchanged"),
    (exercises.check_scaled, lambda x, f: x.detach(), "no gradient"),
    (exercises.check_scaled, lambda x, f: x.clone(), "is not scaled"),
    (exercises.check_scaled, lambda x, f: scaled_by_hook(x, f, new=False), "all uses of x"),
    (exercises.check_scaled, lambda x, f: scaled(x, 1 - f), "swap the two parts"),
    (exercises.check_scaled, lambda x, f: scaled(x, 1 / f), "divides by the factor"),
    (exercises.check_scaled, lambda x, f: scaled(x, 1 + f), "plain part is too much"),
    (exercises.check_scaled, lambda x, f: scaled(x, 7.0), "times as large"),
    (exercises.check_calibrated_confidence, lambda z, y, t: confident(z), "is not used"),
    (exercises.check_calibrated_confidence, best_temperature, "that is the temperature"),
    (
        exercises.check_calibrated_confidence,
        lambda *a: 1 - calibrated_confidence(*a),
        "1 minus it",
    ),
    (
        exercises.check_calibrated_confidence,
        lambda z, y, t: confident(z * best_temperature(z, y, t)),
        "do not multiply",
    ),
    (
        exercises.check_calibrated_confidence,
        lambda *a: calibrated_confidence(*a, pick=max),
        "highest cross-entropy",
    ),
    (
        exercises.check_calibrated_confidence,
        lambda z, y, t: max(confident(z / k) for k in t),
        "not by the confidence itself|highest cross-entropy",
    ),
    (
        exercises.check_calibrated_confidence,
        lambda z, y, t: min(confident(z / k) for k in t),
        "not by the confidence itself|highest cross-entropy",
    ),
    (
        exercises.check_calibrated_confidence,
        lambda z, y, t: (z.argmax(1) == y).float().mean(),
        "that is the accuracy",
    ),
    (
        exercises.check_calibrated_confidence,
        lambda z, y, t: min(F.cross_entropy(z / k, y) for k in t),
        "that is the cross-entropy",
    ),
    (exercises.check_calibrated_confidence, lambda z, y, t: 0.123, "at temperature"),
    (exercises.check_potential, lambda x, k: x[0] - x[-1], "stops with IndexError"),
    (exercises.check_potential, lambda x, k: potential([9.0] + x, k), "before k"),
    (exercises.check_potential, lambda x, k: potential(x, k, lambda x, k: 1.0), "relative"),
    (exercises.check_potential, lambda x, k: -potential(x, k), "sign is turned"),
    (exercises.check_potential, lambda x, k: potential(x, k, lambda x, k: x[-1]), "earlier"),
    (
        exercises.check_potential,
        lambda x, k: x[-1] / x[-1 - k] if len(x) > k else 0.0,
        "1 minus this share",
    ),
    (exercises.check_potential, lambda x, k: potential(x, k, lambda x, k: x[0]), "over the first"),
    (
        exercises.check_potential,
        lambda x, k: 1 - x[-1] / x[0] if len(x) > k else 0.0,
        "only the last k",
    ),
    (
        exercises.check_potential,
        lambda x, k: 1 - x[-1] / x[-k] if len(x) > k else 0.0,
        "losses.-1 - k",
    ),
    (exercises.check_potential, lambda x, k: potential(x, k, least=-9.0), "rising loss"),
    (exercises.check_potential, lambda x, k: 0.37 if len(x) > k else 0.0, "for .2.0"),
    (exercises.check_mix, lambda w, n, s: mix(w, n, s) - w, "noise alone"),
    (exercises.check_mix, lambda w, n, s: mix(w, n, -s), "more dB is less noise"),
    (exercises.check_mix, lambda w, n, s: mix(w, n, s, over=torch.ones(())), "power of its own"),
    (exercises.check_mix, lambda w, n, s: mix(w, n, s, base=20.0), "not by 20"),
    (
        exercises.check_mix,
        lambda w, n, s: w + n * w.square().mean() / n.square().mean() * 10 ** (-s / 10),
        "root of powers",
    ),
    (
        exercises.check_mix,
        lambda w, n, s: (
            w + n * w.square().mean().sqrt() / n.square().mean().sqrt() * 10 ** (-s / 10)
        ),
        "of amplitudes by 20",
    ),
    (
        exercises.check_mix,
        lambda w, n, s: w + n * w.std() / n.std() * 10 ** (-s / 20),
        "a variance takes the mean off",
    ),
    (exercises.check_mix, lambda w, n, s: w + n * 10 ** (-s / 20), "neither power"),
    (
        exercises.check_mix,
        lambda w, n, s: n + w * (n.square().mean() / w.square().mean() * 10 ** (s / 10)).sqrt(),
        "scale the noise",
    ),
    (exercises.check_mix, lambda w, n, s: w.add_(mix(w, n, s) - w), "in place"),
    (exercises.check_mix, lambda w, n, s: mix(w, n, s)[None], r"give \(T,\)"),
    (exercises.check_mix, lambda w, n, s: mix(w, n, s + 1), "ratio of powers comes out"),
    (
        exercises.check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(x, c, e, (-9, 9)),
        "limits of the data",
    ),
    (
        exercises.check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(x, c, e, limits, dim=0),
        "whole batch",
    ),
    (
        exercises.check_project_euclidean,
        lambda x, c, e, limits: (c + (x - c).clamp(-e, e)).clamp(*limits),
        "maximum norm",
    ),
    (exercises.check_project_euclidean, lambda x, c, e, limits: x.clamp(*limits), "ball is not"),
    (
        exercises.check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(x, c, e, (-9, 9)) - c,
        "way from the centre",
    ),
    (
        exercises.check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(c + 1e6 * (x - c), c, e, limits),
        "inside the ball stays",
    ),
    (
        exercises.check_project_euclidean,
        lambda x, c, e, limits: (
            c + (x - c) * (e / (x - c).flatten(1).norm(dim=1).reshape(-1, *(1,) * (x.dim() - 1)))
        ).clamp(*limits),
        "NaN",
    ),
    (
        exercises.check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(x, c, 2 * e, limits),
        "away from its centre",
    ),
    (
        exercises.check_project_euclidean,
        lambda x, c, e, limits: x.copy_(project_euclidean(x, c, e, limits)),
        "in place",
    ),
    (
        exercises.check_project_euclidean,
        lambda x, c, e, limits: project_euclidean(x, c, e / 2, limits),
        "shorten each",
    ),
    (exercises.check_noisy, noisy_in_place, "copy it first"),
    (exercises.check_noisy, lambda x, e, s: noisy(x, e, s, clip=(-9, 1)), "both sides"),
    (exercises.check_noisy, lambda x, e, s: noisy(x, e, s, hits=False), "global generator"),
    (
        exercises.check_noisy,
        lambda x, e, s: noisy(x, e, s, key="{seed} {i} {severity}"),
        "leave the severity out",
    ),
    (exercises.check_noisy, lambda x, e, s: noisy(x, e, s, factor=0.2), "not 0.1"),
    (exercises.check_noisy, lambda x, e, s: noisy(x, e, s, start=0.05), "clean data to the bit"),
    (exercises.check_noisy, lambda x, e, s: noisy(x, e, s, key="{i}"), "another seed"),
    (exercises.check_noisy, same_for_all, "same noise"),
    (exercises.check_noisy, noisy_by_sum, "moved on by a sample"),
    (exercises.check_noisy, noisy_and_global, "global generator"),
    (exercises.check_noisy, noisy_of_one_seed, "index belongs into it"),
    (exercises.check_noisy, noisy_at_once, "one generator a sample"),
    (
        exercises.check_noisy,
        lambda x, e, s: (x + e / 10 * torch.randn(x.shape, generator=zero())).clamp(0, 1),
        "not a half",
    ),
    (exercises.check_noisy, lambda x, e, s: noisy(x, e, s)[:9], "give all samples"),
    (exercises.check_drop_interval, drop_of_all, "15 pairs"),
    (exercises.check_drop_interval, lambda a, b, c, d: drop_interval(c, d, a, b), "a minus b"),
    (
        exercises.check_drop_interval,
        lambda a, b, c, d: interval(a - b.mean(1), c - d.mean(1)),
        "relative",
    ),
    (
        exercises.check_drop_interval,
        lambda a, b, c, d: interval(a / b.mean(1), c / d.mean(1)),
        "not by the noisy one",
    ),
    (
        exercises.check_drop_interval,
        lambda a, b, c, d: interval(*((x - y.mean(1)) / x.mean() for x, y in ((a, b), (c, d)))),
        "within the seed",
    ),
    (exercises.check_drop_interval, lambda a, b, c, d: b.amin(1), "stops with AttributeError"),
    (
        exercises.check_drop_interval,
        lambda a, b, c, d: interval(*((1 - y / x[:, None]).mean(0) for x, y in ((a, b), (c, d)))),
        "pairs are the training seeds",
    ),
    (exercises.check_drop_interval, lambda *a: drop_interval(*a)[0], "three numbers"),
    (
        exercises.check_drop_interval,
        lambda *a: (drop_interval(*a)[0], 0.0, 0.2),
        "expected",
    ),
    (exercises.check_spoil_batch, spoil_in_place, "in place"),
    (exercises.check_spoil_batch, lambda x, g: spoil_batch(x, g, both=True), "loses both"),
    (exercises.check_spoil_batch, lambda x, g: spoil_batch(x, g, rate=0.0), "are spoiled"),
    (exercises.check_spoil_batch, lambda x, g: spoil_batch(x, g, rate=1.1), "are spoiled"),
    (exercises.check_spoil_batch, lambda x, g: spoil_batch(x, g, generator=False), "pass gener"),
    (exercises.check_spoil_batch, lambda x, g: spoil_batch(x, zero()), "draw from g"),
    (exercises.check_spoil_batch, lambda x, g: {"audio": x["audio"]}, "modalities of inputs"),
    (
        exercises.check_spoil_batch,
        lambda x, g: {m: y[:, 0] for m, y in spoil_batch(x, g).items()},
        "finite numbers of shape",
    ),
    (exercises.check_read_list, lambda c, k: read_list(c, k, "utf-8"), "byte-order mark"),
    (exercises.check_read_list, lambda c, k: read_list(c, k, name=True), "not its name"),
    (exercises.check_read_list, lambda c, k: read_list(c, k, strip=False), "spaces around"),
    (exercises.check_read_list, lambda c, k: read_list(c, k, start=0), "stands in line 5"),
    (exercises.check_read_list, lambda c, k: read_list(c, k, empty=False), "blank lines counted"),
    (exercises.check_read_list, lax_list, "is to raise a ValueError, not IndexError"),
    (exercises.check_read_list, careless_list, "goes through"),
    (exercises.check_read_list, lambda c, k: read_list(c, k, "latin-1"), "byte-order mark"),
    (exercises.check_read_list, list_without_strip, "lines of spaces"),
    (exercises.check_read_list, list_in_capitals, "as they are|comes out wrong"),
    (exercises.check_read_list, list_of_numbers, "name one line"),
    (
        exercises.check_read_list,
        lambda c, k: [
            (a, k.index(b)) for a, b in (x.split(",") for x in c.decode("utf-8-sig").split("\n"))
        ],
        "plain list comes out wrong",
    ),
    (exercises.check_split_by_actor, split_by_clip, "split actors, not clips"),
    (exercises.check_split_by_actor, split_as_listed, "another order of ids"),
    (exercises.check_split_by_actor, split_by_set, "order of ids|sorted order"),
    (exercises.check_split_by_actor, split_by_hash, "order of ids|sorted order"),
    (exercises.check_split_by_actor, split_globally, "a global generator"),
    (
        exercises.check_split_by_actor,
        lambda i, share, seed: split_globally(i, share, seed, np.random),
        "a global generator",
    ),
    (exercises.check_split_by_actor, split_rounded(math.floor), "neither down nor up"),
    (exercises.check_split_by_actor, split_rounded(math.ceil), "neither down nor up"),
    (
        exercises.check_split_by_actor,
        lambda i, share, seed: split_by_actor(i, share, seed, of_actors=False),
        "share of the actors",
    ),
    (
        exercises.check_split_by_actor,
        lambda i, share, seed: split_by_actor(i, share, seed, least=0),
        "at least one",
    ),
    (
        exercises.check_split_by_actor,
        lambda i, share, seed: split_by_actor(i, share, seed, generator=False),
        "same seed gives other actors|global generator",
    ),
    (
        exercises.check_split_by_actor,
        lambda i, share, seed: split_by_actor(i, share, 0),
        "other seeds",
    ),
    (
        exercises.check_split_by_actor,
        lambda i, share, seed: [[i[k] for k in part] for part in split_by_actor(i, share, seed)],
        "positions, whole numbers",
    ),
    (
        exercises.check_split_by_actor,
        lambda i, share, seed: split_by_actor(i, share, seed)[1],
        "two lists",
    ),
    (
        exercises.check_split_by_actor,
        lambda i, share, seed: (list(range(len(i))), split_by_actor(i, share, seed)[1]),
        "in train and in test",
    ),
    (
        exercises.check_split_by_actor,
        lambda i, share, seed: (split_by_actor(i, share, seed)[0][1:], [0]),
        "each clip belongs|in both parts",
    ),
    (exercises.check_choose, lambda n, f, g: choose(n, f, g, ordered=list), "sort"),
    (exercises.check_choose, choose_in_place, "names has changed"),
    (exercises.check_choose, lambda n, f, g: choose(n, f, g, middle=lambda n: 0), "not its first"),
    (exercises.check_choose, lambda n, f, g: choose(n, f, g, numbers=True), "not their numbers"),
    (exercises.check_choose, lambda n, f, g: choose(n, f), "is g used"),
    (exercises.check_choose, lambda n, f, g: choose(n, f, g)[:1], "a list of 3 names"),
    (exercises.check_choose, choose_any, "one of each part"),
    (exercises.check_choose, choose_globally, "draw from g"),
    (exercises.check_choose, choose_anew, "do not seed it anew"),
    (exercises.check_choose, choose_from_one, "your bounds differ"),
    (
        exercises.check_choose,
        lambda n, f, g: choose(n, f, g, middle=lambda n: n - 1),
        "the middles are",
    ),
    (
        exercises.check_largest_disagreement,
        lambda g, n: largest_disagreement(g, n, added=lambda g: 0),
        "add it",
    ),
    (
        exercises.check_largest_disagreement,
        lambda g, n: largest_disagreement(g, n, 1.96),
        "squared, too",
    ),
    (
        exercises.check_largest_disagreement,
        lambda g, n: largest_disagreement(g, n, added=lambda g: g),
        "not g$",
    ),
    (exercises.check_largest_disagreement, lambda g, n: g * (1 + n / 1.96**2), "gap is squared"),
    (
        exercises.check_largest_disagreement,
        lambda g, n: largest_disagreement(g, n, 1.645**2),
        "both sides",
    ),
    (
        exercises.check_largest_disagreement,
        lambda g, n: largest_disagreement(g, n, 1),
        "one standard",
    ),
    (
        exercises.check_largest_disagreement,
        lambda g, n: largest_disagreement(g, n) ** 0.5,
        "root of d",
    ),
    (
        exercises.check_largest_disagreement,
        lambda g, n: 100 * largest_disagreement(g, n),
        "not per cent",
    ),
    (
        exercises.check_largest_disagreement,
        lambda g, n: (100 * g) ** 2 * (1 + n / 1.96**2),
        "a share already",
    ),
    (exercises.check_largest_disagreement, lambda g, n: n**2 * (1 + g / 1.96**2), "in this order"),
    (
        exercises.check_largest_disagreement,
        lambda g, n: g**2 * (1 + n / 1.96**2),
        "whatever the disagreement",
    ),
    (
        exercises.check_largest_disagreement,
        lambda g, n: largest_disagreement(g, n) + 0.001,
        "half width",
    ),
    (exercises.check_own_data, own_data(take=take_sorted), "in the order of index"),
    (exercises.check_own_data, own_data(finish=finish_by_batch), "no sample depends"),
    (exercises.check_own_data, own_data(take=take_by_first_row), "not the first to all"),
    (exercises.check_own_data, own_data(finish=finish_in_place), "changes its inputs"),
    (exercises.check_own_data, own_data(take=take_by_place), "two threads"),
    (
        exercises.check_own_data,
        own_data(finish=lambda self, inputs, draws=None: tuple(inputs.values())),
        "finish gives a dict",
    ),
    (exercises.check_own_data, own_data(classes=3), "tuple of names, not 3"),
    (exercises.check_own_data, own_data(modalities="audio"), "tuple of names"),
    (exercises.check_own_data, own_data(split=None), "split is to be a string"),
    (exercises.check_own_data, own_data(take=take_noisy), "without draws"),
    (exercises.check_own_data, own_data(take=take_anew), "the same draws"),
    (exercises.check_own_data, own_data(take=take_seeded), "global generator"),
    (exercises.check_own_data, own_data(modalities=("audio", "text")), "dict with the keys"),
    (exercises.check_own_data, own_data(inputs={}), "taken for one in memory"),
    (exercises.check_own_data, own_data(__init__=with_shares), "target is to be an int64"),
    (exercises.check_own_data, own_data(classes=("a",)), "labels in"),
    (exercises.check_own_data, lambda: object(), "has no modalities"),
    (
        exercises.check_own_data,
        own_data(take=lambda self, index, draws=None: OwnData.take(self, index * 0)),
        "equal|alone",
    ),
    (
        exercises.check_own_data,
        own_data(finish=lambda self, inputs, draws=None: {m: x.half() for m, x in inputs.items()}),
        "float32",
    ),
]


@pytest.mark.parametrize(("check", "answer", "hint"), WRONG)
def test_wrong_answers_get_their_hint(check, answer, hint):
    with pytest.raises(AssertionError, match=hint):
        check(answer)


def test_one_stream_of_draws_will_do(capsys):
    exercises.check_noisy(noisy_in_one_stream)
    assert "passed" in capsys.readouterr().out


def test_interval_variants():
    def with_half(half):
        return lambda a, b: (
            (a - b).mean(),
            (a - b).mean() - half(a, b),
            (a - b).mean() + half(a, b),
        )

    t = stats.t.ppf(0.975, 4)
    unpaired = stats.t.ppf(0.975, 8)
    for half, hint in (
        (lambda a, b: unpaired * ((a.var(ddof=1) + b.var(ddof=1)) / 5) ** 0.5, "unpaired"),
        (lambda a, b: t * (a - b).std() / 5**0.5, "ddof=1"),
        (lambda a, b: t * (a - b).std(ddof=1), "square root of n"),
        (lambda a, b: stats.t.ppf(0.95, 4) * (a - b).std(ddof=1) / 5**0.5, "2.5 %"),
    ):
        with pytest.raises(AssertionError, match=hint):
            exercises.check_paired_interval(with_half(half))


def test_a_gradient_may_be_scaled_by_a_hook(capsys):
    exercises.check_scaled(scaled_by_hook)
    assert capsys.readouterr().out.endswith(": passed\n")

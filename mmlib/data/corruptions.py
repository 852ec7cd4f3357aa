"""Corruptions at test time: one modality, a severity, each sample with a generator of its own.

Everything is computed in floating point. The samples that are hit, and the noise in them, are the
same at every severity; severity 0 changes nothing.
"""

import copy
import math
import zlib
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.arguments import one_of

SEVERITIES = (0, 5, 10)  # those of the literature; any number in [0, 10] is accepted
PICTURES = ("visual", "depth", "rear", "flow")


def gaussian_noise(
    x: Tensor, deviation: float, generator: torch.Generator, limits: tuple[float, float]
) -> Tensor:
    """`x` plus independent Gaussian noise of that deviation, clipped to `limits` on both sides."""
    noise = torch.randn(x.shape, generator=generator)
    return (x + deviation * noise).clamp(*limits)


def salt_and_pepper(
    x: Tensor, density: float, generator: torch.Generator, limits: tuple[float, float]
) -> Tensor:
    """Set a share `density` of the places of `x`, `(channels, H, W)`, to one of the two limits.

    A place is hit in all channels alike. Raises `ValueError` for a density outside [0, 1].
    """
    _in_range("density", density, 0, 1)
    luck, side = torch.rand((2, *x.shape[-2:]), generator=generator)
    extreme = torch.where(side < 0.5, *(torch.tensor(limit, dtype=x.dtype) for limit in limits))
    return torch.where(luck < density, extreme, x)


def noise_at_snr(waveform: Tensor, snr_db: float, generator: torch.Generator) -> Tensor:
    """`waveform`, `(samples,)`, plus white noise with `snr_db` decibels less power than it has.

    The recording counts as signal with whatever noise it has already. Raises `ValueError` for
    silence, which has no signal-to-noise ratio, for a waveform that is not finite, and for a ratio
    outside [-100, 100].
    """
    _in_range("snr_db", snr_db, -100, 100)
    power = waveform.square().mean()
    if not torch.isfinite(power) or power == 0:
        raise ValueError(
            f"the waveform's power is {power.item()}; a signal-to-noise ratio needs a finite sound "
            "that is not silent"
        )
    noise = torch.randn(waveform.shape, generator=generator)
    return waveform + noise * (power * 10 ** (-snr_db / 10)).sqrt()


def blank_words(
    tokens: Tensor, probability: float, generator: torch.Generator, blank: int
) -> Tensor:
    """Each word of `tokens`, `(L,)`, becomes `blank` with that probability; padding, 0, stays."""
    _in_range("probability", probability, 0, 1)
    hit = torch.rand(tokens.shape, generator=generator) < probability
    return torch.where(hit & (tokens != 0), blank, tokens)


def corrupt(
    dataset,
    modality: str,
    corruption: str,
    severity: float,
    probability: float = 0.5,
    seed: int = 0,
    blank: int = 1,
):
    """A copy of a data set in which one modality of some samples is corrupted.

    Each sample is hit with `probability`. By `severity` e in [0, 10]: `"gaussian"`, deviation e/10
    of the modality's own; `"salt-and-pepper"`, density e/50; both within the range of the data.
    `"white-noise"` (sound, before the spectrogram), at 10 - 2 e dB; it needs a data set with
    `waveform(i)` and `audio_input(waveform)`. `"blank-words"` (text), each word with probability
    e/10. `"dropped"`: zeros, for any e above 0. Who is hit depends on seed, modality and sample.
    The copy's `truth["corrupted"]`, `(N,)` bool, says who was hit, here or by an earlier call.

    Raises `ValueError` for an unknown corruption, one that does not fit the modality or the data,
    or a number out of range; `KeyError` for a modality that the data set lacks.
    """
    _in_range("severity", severity, 0, 10)
    _in_range("probability", probability, 0, 1)
    if modality not in dataset.inputs:
        raise KeyError(f"modality is {modality!r}; the data set has {', '.join(dataset.inputs)}")
    change = _change(dataset, modality, corruption, severity, blank)
    result = copy.copy(dataset)
    hit = torch.zeros(len(dataset), dtype=torch.bool)
    values = dataset.inputs[modality].clone()
    for i in range(len(dataset)) if severity else ():
        # 32 bits, for that is what PyTorch's generator takes of a seed
        generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {modality} {i}".encode()))
        hit[i] = torch.rand((), generator=generator) < probability
        if hit[i]:
            values[i] = change(i, values[i], generator)
    result.inputs = dataset.inputs | {modality: values}
    truth = getattr(dataset, "truth", {})
    result.truth = truth | {"corrupted": hit | truth.get("corrupted", hit)}
    return result


def _change(
    dataset, modality: str, corruption: str, severity: float, blank: int
) -> Callable[[int, Tensor, torch.Generator], Tensor]:
    """What a corruption does to the input of sample i, `(i, x, generator)` to `x`."""
    fits = {
        "gaussian": PICTURES,
        "salt-and-pepper": PICTURES,
        "white-noise": ("audio",),
        "blank-words": ("text",),
        "dropped": (modality,),
    }
    one_of("corruption", corruption, tuple(fits))
    if modality not in fits[corruption]:
        raise ValueError(
            f"{corruption} does not fit {modality!r}; it is for {', '.join(fits[corruption])}"
        )
    x = dataset.inputs[modality]
    if corruption == "dropped":
        return lambda i, x, generator: torch.zeros_like(x)
    if corruption == "blank-words":
        return lambda i, x, generator: blank_words(x, severity / 10, generator, blank)
    if corruption == "white-noise":
        if not hasattr(dataset, "waveform") or not hasattr(dataset, "audio_input"):
            raise ValueError(
                f"{corruption} goes in before the spectrogram; {type(dataset).__name__} lacks "
                "waveform(i) or audio_input(waveform)"
            )
        return lambda i, x, generator: dataset.audio_input(
            noise_at_snr(dataset.waveform(i), 10 - 2 * severity, generator)
        )
    if not x.is_floating_point():
        raise ValueError(f"{modality} is {x.dtype}; give pictures in floating point")
    limits = x.min().item(), x.max().item()
    if corruption == "gaussian":
        noisy, strength = gaussian_noise, severity / 10 * x.std().item()
    else:
        noisy, strength = salt_and_pepper, severity / 50
    return lambda i, x, generator: noisy(x, strength, generator, limits)


def fgsm(
    model: nn.Module, inputs: dict[str, Tensor], target: Tensor, modality: str, epsilon: float
) -> dict[str, Tensor]:
    """One step of size `epsilon` up the fused loss, by the sign of its gradient at a modality.

    Fast gradient sign method (Goodfellow et al., ICLR 2015): each entry of `inputs[modality]` moves
    by `epsilon` (in the input's units) or, where the gradient is 0, not at all. Otherwise as `pgd`.
    """
    return pgd(model, inputs, target, modality, epsilon, steps=1, step_size=epsilon)


def pgd(
    model: nn.Module,
    inputs: dict[str, Tensor],
    target: Tensor,
    modality: str,
    epsilon: float,
    steps: int = 10,
    step_size: float | None = None,
    generator: torch.Generator | None = None,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> dict[str, Tensor]:
    """`steps` signed steps up the fused loss, each brought back to within `epsilon` of the input.

    Projected gradient descent in the maximum norm (Madry et al., ICLR 2018). `step_size` is
    `2.5 epsilon / steps` by default; with a `generator` (CPU) it starts at a random place in the
    ball; `limits` are those of the data. The model is asked in evaluation mode and then put back;
    its gradients are left alone. Raises `ValueError` for an epsilon or step size that is negative
    or not finite, fewer than one step, or a modality that is not floating point; `KeyError` for one
    that the inputs lack.
    """
    step_size = 2.5 * epsilon / max(steps, 1) if step_size is None else step_size
    if steps < 1 or not all(0 <= x < math.inf for x in (epsilon, step_size)):
        raise ValueError(
            f"epsilon is {epsilon}, steps {steps}, step_size {step_size}; give finite numbers of 0 "
            "or more and one step or more"
        )
    if modality not in inputs:
        raise KeyError(f"modality is {modality!r}; inputs hold {', '.join(inputs)}")
    if not inputs[modality].is_floating_point():
        raise ValueError(f"{modality} is {inputs[modality].dtype}; only real numbers can be moved")
    clean = inputs[modality].detach()
    moved = clean
    if generator is not None:
        start = 2 * torch.rand(clean.shape, generator=generator) - 1
        moved = _into_ball(clean + epsilon * start.to(clean), clean, epsilon, limits)
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        for _ in range(steps):
            with torch.enable_grad():
                moved = moved.detach().requires_grad_()
                loss = F.cross_entropy(model(inputs | {modality: moved})["fused"], target)
                (gradient,) = torch.autograd.grad(loss, moved)
            step = moved.detach() + step_size * gradient.sign()
            moved = _into_ball(step, clean, epsilon, limits)
    finally:
        for module, training in modes.items():
            module.training = training
    return inputs | {modality: moved}


def _into_ball(x: Tensor, centre: Tensor, epsilon: float, limits: tuple[float, float]) -> Tensor:
    """The place nearest to `x` within `epsilon` of `centre` in every entry, and in the limits."""
    lower, upper = (bound.clamp(*limits) for bound in (centre - epsilon, centre + epsilon))
    return torch.minimum(torch.maximum(x, lower), upper)


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; give a number in [{low}, {high}]")

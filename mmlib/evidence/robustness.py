"""What a trained network does under corruption: the conditions of lesson 7's table."""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from mmlib.data import AVDigits
from mmlib.data.corruptions import corrupt, pgd
from mmlib.evaluation import accuracy, calibration_error, collect
from mmlib.methods.detached import certainty_weights
from mmlib.training import Method

NOISE_SEEDS = range(3)
SEVERITIES = (5, 10)
CONDITIONS = {  # name -> modality -> corruption
    "visual gaussian": {"visual": "gaussian"},
    "visual salt-and-pepper": {"visual": "salt-and-pepper"},
    "visual dropped": {"visual": "dropped"},
    "audio white-noise": {"audio": "white-noise"},
    "audio dropped": {"audio": "dropped"},
    "both noisy": {"visual": "gaussian", "audio": "white-noise"},
}
ATTACKS = {"visual": ("visual",), "audio": ("audio",), "both": ("audio", "visual")}
ATTACKED = 500  # samples: an attack costs a backward pass a step
STEPS = {"fgsm": 1, "pgd": 5}
TEMPERATURE = 0.2  # of the certainty weights, the same for every method and not tuned


def corrupted_sets(
    test: AVDigits,
    noise_seeds: Sequence[int] = NOISE_SEEDS,
    severities: Sequence[int] = SEVERITIES,
) -> Iterator[tuple[str, AVDigits]]:
    """Each condition at each severity with each seed, as `("visual gaussian, 5, seed 0", data)`.

    Half of the samples are hit, of both modalities independently; a dropped modality has one
    severity, the last.
    """
    for name, corruptions in CONDITIONS.items():
        for severity in severities if "dropped" not in name else severities[-1:]:
            for seed in noise_seeds:
                data = test
                for m, corruption in corruptions.items():
                    data = corrupt(data, m, corruption, severity, seed=seed)
                yield f"{name}, {severity}, seed {seed}", data


def under_corruption(
    method: Method,
    test: AVDigits,
    sets: Sequence[tuple[str, AVDigits]],
    attacks: Mapping[str, int] = STEPS,
) -> dict[str, float]:
    """Scores of a trained method on each of `sets` and under attack; the clean ones as `"clean"`.

    `fused NAME`: accuracy; `error NAME`: expected calibration error; `certain NAME`: accuracy of
    the modalities' own logits added with `certainty_weights` at temperature 0.2. An attack,
    `fgsm` or `pgd` of 5 steps on the first 500 samples, moves each entry of a modality by up to
    severity/100 of the modality's deviation, of both modalities one after the other.
    """
    scores = {}
    for name, data in [("clean", test), *sets]:
        logits = collect(method.predict, data)
        scores[f"fused {name}"] = accuracy(logits["fused"], data.target)
        scores[f"error {name}"] = calibration_error(logits["fused"], data.target)
        scores[f"certain {name}"] = accuracy(by_certainty(logits), data.target)
    for attack, steps in attacks.items():
        for which, modalities in ATTACKS.items():
            for severity in SEVERITIES:
                inputs, target = attacked(method, test, modalities, severity, steps)
                logits = method.predict(inputs)
                name = f"{which} {attack}, {severity}"
                scores[f"fused {name}"] = accuracy(logits["fused"], target)
                scores[f"certain {name}"] = accuracy(by_certainty(logits), target)
    return scores


def by_certainty(logits: dict[str, Tensor], temperature: float = TEMPERATURE) -> Tensor:
    """The modalities' own logits, `(N, K)`, added with weights by certainty."""
    alone = {m: z for m, z in logits.items() if m != "fused"}
    weights = certainty_weights(alone, temperature)
    return sum(weights[m].unsqueeze(1) * z for m, z in alone.items())


def attacked(
    method: Method, test: AVDigits, modalities: Sequence[str], severity: float, steps: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Inputs and target of the first samples, moved up the fused loss of the method's model."""
    inputs = {m: x[:ATTACKED] for m, x in test.inputs.items()}
    target = test.target[:ATTACKED]
    for m in modalities:
        x = test.inputs[m]
        limits = x.min().item(), x.max().item()
        epsilon = severity / 100 * x.std().item()
        step = epsilon if steps == 1 else None
        inputs = pgd(method.model, inputs, target, m, epsilon, steps, step_size=step, limits=limits)
    return inputs, target

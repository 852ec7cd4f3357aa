"""A row of the tables: how a method is trained on AV-Digits for it, and scored."""

from functools import lru_cache
from pathlib import Path

import torch

from mmlib.arguments import one_of
from mmlib.data import AVDigits
from mmlib.data.corruptions import corrupt
from mmlib.devices import seeded
from mmlib.encoders import SmallCNN
from mmlib.evidence.arms import ARMS
from mmlib.evidence.robustness import (
    CONDITIONS,
    SEVERITIES,
    STEPS,
    corrupted_sets,
    under_corruption,
)
from mmlib.evidence.scoring import of_first_mixture, score
from mmlib.evidence.studies import EPOCHS, KEPT, KNOWN, SEEDS, STUDIES, SYNTHETIC
from mmlib.evidence.wanted import chosen_options
from mmlib.files import replacing
from mmlib.methods import make_method
from mmlib.methods.gap import Gap
from mmlib.training import Method, fit


def run(
    method: str,
    scenario: str,
    seed: int,
    options: dict,
    epochs: int = EPOCHS,
    split: str = "test",
    weights: Path | None = None,
    voices: Path | None = None,
) -> dict[str, float]:
    """Train one method on AV-Digits from `seed` (data, weights, order) and score it on `split`.

    `voices` is the folder of human ones; then the scenario may be `studies.KNOWN`, too.

    Returns what `scoring.score` does, samples seen (and looked at, see `Plan`); of the gap loss
    also how its first mixture came out on the training data. The split `"noise"` is the test split,
    with what `robustness.under_corruption` says of it in addition, under names that have a space
    (with human voices at the higher severity alone, and without attacks).
    The trained state is saved as `weights`, if given.
    """
    train = _data("train", scenario, seed, voices)
    if ARMS[method].noise:
        train = _with_noise(train, ARMS[method].noise, seed)
    trained = untrained(method, train, seed, options, epochs)
    first: dict[str, float] = {}

    def watch(trained) -> dict:
        if isinstance(trained, Gap) and trained.mixture and not first:
            first.update(of_first_mixture(trained, train))
        return {}

    history = fit(trained, train, epochs, seed=seed, progress=False, evaluate=watch)
    if weights:
        _keep(trained, weights)
    splits = ("val",) if split == "val" else ("test", "val")
    held_out = [_data(name, scenario, seed, voices) for name in splits]
    scores = score(trained, train, *held_out) | first
    if split == "noise":
        sets = _corrupted(scenario, seed, voices)
        scores |= under_corruption(trained, held_out[0], sets, attacks={} if voices else STEPS)
    logged = ("classifiers_", "contribution_", "information_", "confidence_", "divergence_")
    scores |= {name: x for name, x in history[-1].items() if name.startswith(logged)}
    if "clipped" in history[-1]:
        scores["clipped"] = sum(row["clipped"] for row in history) / len(history)
    for cost in ("samples", "looked_at"):
        scores[cost] = sum(row[cost] for row in history)
    return {name: round(float(value), 4) for name, value in scores.items()}


def _keep(trained: Method, path: Path) -> None:
    """Save the state of a trained method, without momentum, which is of no use any more."""
    trained.optimizer.state.clear()
    with replacing(path) as beside:
        torch.save(trained.state_dict(), beside)


def untrained(method: str, train: AVDigits, seed: int, options: dict, epochs: int) -> Method:
    """A row's method as it is before its first epoch, made for so many."""
    with seeded(seed):
        encoders = {m: SmallCNN() for m in train.modalities}
    name, options = ARMS[method].built_by(options)
    classes = len(train.classes)
    return make_method(name, encoders, classes, epochs, seed, dataset=train, **options)


def trained(method: str, folder: Path, train: AVDigits) -> Method:
    """The network of the noise table's row `method` at the first seed, as `make results` left it.

    `folder` is that of the tables; `train` the training split of `imbalanced` at seed 0. Raises
    `ValueError` for a method that is not in `studies.KEPT`, `FileNotFoundError` for a lost file.
    """
    one_of("method", method, KEPT)
    options = ARMS[method].options(chosen_options(folder, STUDIES[SYNTHETIC]))
    found = untrained(method, train, SEEDS[0], options, EPOCHS)
    found.load_state_dict(torch.load(weights_path(folder, method), weights_only=True))
    return found


def weights_path(folder: Path, method: str) -> Path:
    """Where the noise table's network of the first seed is kept."""
    return folder.parent / "weights" / f"{method.replace(' ', '-')}.pt"


@lru_cache(maxsize=16)  # one scenario's training and held-out data for every seed
def _data(split: str, scenario: str, seed: int, voices: Path | None) -> AVDigits:
    if scenario == KNOWN:
        return AVDigits(split, seed=seed, voices=voices, deal="recordings")
    return AVDigits(split, scenario, seed=seed, voices=voices)


def _with_noise(train: AVDigits, severity: float, seed: int) -> AVDigits:
    """Noise in half of the samples, other than any of the noise table's."""
    for m, corruption in CONDITIONS["both noisy"].items():
        train = corrupt(train, m, corruption, severity, seed=1000 + seed)
    return train


@lru_cache(maxsize=1)  # the noise table goes through the methods seed by seed
def _corrupted(scenario: str, seed: int, voices: Path | None) -> list[tuple[str, AVDigits]]:
    severities = SEVERITIES[-1:] if voices else SEVERITIES
    return list(corrupted_sets(_data("test", scenario, seed, voices), severities=severities))

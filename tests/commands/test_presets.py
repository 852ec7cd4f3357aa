"""Published settings: the epochs in which something changes, as the released loops have them, and
what a run says of its differences."""

from functools import cache

import pytest
import torch
from torch import nn

import toys
from mmlib.commands.presets import PRESETS
from mmlib.data import CremaD
from mmlib.data.tools.samples import write_sample
from mmlib.methods import boosting
from mmlib.training import fit

pytestmark = pytest.mark.slow  # files are made and read in each

# the released scheduler's step, and whether its loop calls it before or after an epoch
DECAYS = {
    "OGM-GE": (70, "after"),
    "AUG": (70, "before"),
    "sample-level": (30, "after"),
    "modality-level": (30, "after"),
    "valuation's": (30, "after"),
    "DI-MML": (70, "after"),
}


@cache
def run_of(key):
    """A whole run with a preset, one small batch an epoch: the method, its history, its rates."""
    found, rates = PRESETS[key], []
    data = toys.whole(toys.Lazy(".", "train", size=12))
    method = toys.make(key[1], data, found.epochs, toys.Flat, **found.options)

    def watch(method):
        rates.append(method.optimizer.param_groups[0]["lr"])
        classifiers = getattr(method.model, "first", {})
        return {"classifiers": sum(len(first) for first in classifiers.values())}

    history = fit(method, data, found.epochs, 64, progress=False, evaluate=watch)
    return method, history, rates


def epochs_with(history, wanted):
    """The epochs, from 0, whose row is as wanted."""
    return [row["epoch"] - 1 for row in history if wanted(row)]


@pytest.mark.slow
@pytest.mark.parametrize("key", PRESETS, ids=" ".join)
def test_the_rate_falls_where_the_released_scheduler_has_it_fall(key):
    """PyTorch's StepLR, stepped before or after the epoch as the released loop steps it."""
    _, _, rates = run_of(key)
    found = PRESETS[key]
    step, place = DECAYS[next(name for name in DECAYS if found.source.startswith(name))]
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], found.options["lr"])
    scheduler, wanted = torch.optim.lr_scheduler.StepLR(optimizer, step, 0.1), []
    optimizer.step()  # StepLR warns where it comes first
    for _ in range(found.epochs):
        if place == "before":
            scheduler.step()
        wanted.append(optimizer.param_groups[0]["lr"])
        if place == "after":
            scheduler.step()
    if key[1] == "detached":  # its second stage has an optimiser of its own
        rates, wanted = rates[:150], wanted[:150]
    assert rates == pytest.approx(wanted)
    falls = [i for i in range(1, len(rates)) if rates[i] < rates[i - 1]]
    first = step - (place == "before")
    assert falls == list(range(first, len(rates), step)) and falls


def test_ogm_ge_modulates_epochs_0_to_50():
    """`modulation_starts <= epoch <= modulation_ends`, which are 0 and 50."""
    _, history, _ = run_of(("cremad", "ogm-ge"))
    assert len(history) == 100
    modulated = epochs_with(history, lambda row: "coefficient_audio" in row)
    assert modulated == list(range(51))


@pytest.mark.parametrize(
    ("data", "grown"),
    [
        ("cremad", [1, 20, 40, 60, 80, 100, 120, 140, 160, 180]),
        ("kinetics-sounds", [1, 10, 20, 30, 40, 50, 60, 70, 80, 90]),
    ],
)
def test_boosting_adds_classifiers_after_the_released_epochs(data, grown, monkeypatch):
    """After epochs 0, 19, 39, ...: `(epoch + 1) % (epochs / 10) == 0 or epoch == 0`."""
    monkeypatch.setattr(boosting, "weaker_modality", lambda *_: "visual")
    _, history, _ = run_of.__wrapped__((data, "boosting"))  # its own, with that weaker one
    counts = [row["classifiers"] for row in history]
    assert [i for i in range(1, len(counts)) if counts[i] > counts[i - 1]] == grown
    released = [e + 1 for e in range(len(counts)) if (e + 1) % (len(counts) // 10) == 0 or e == 0]
    assert grown == released[:-1]  # the one after the last epoch is trained no more


@pytest.mark.parametrize("method", ["valuation", "valuation-modality"])
def test_valuation_begins_after_five_epochs(method):
    """Valued after epochs 4, 5, ...: for the epochs 5 to 59."""
    _, history, _ = run_of(("kinetics-sounds", method))
    assert epochs_with(history, lambda row: row["looked_at"]) == list(range(5, 60))
    share = 12 if method == "valuation" else 2  # a fifth
    assert history[5]["looked_at"] == share and history[4]["samples"] == 12


@pytest.mark.parametrize("data", ["cremad", "ave", "ucf101", "modelnet40"])
def test_detached_learning_turns_in_epochs_20_and_150(data):
    """Dimensions measured before epoch 20, contrast from then on, the fusion head from 150 on."""
    method, history, _ = run_of((data, "detached"))
    assert len(history) == 170
    assert epochs_with(history, lambda row: row["looked_at"]) == [20]
    assert epochs_with(history, lambda row: "loss_duc" in row) == list(range(150))
    assert method.teaches and any(chosen.any() for chosen in method.teaches.values())
    assert epochs_with(history, lambda row: row.get("loss_duc")) == list(range(20, 150))
    assert method.head_optimizer.param_groups[0]["lr"] == 1e-3


def test_joint_baselines_run_as_long_as_the_released_ones():
    joint = {data: found for (data, method), found in PRESETS.items() if method == "joint"}
    assert {data: found.epochs for data, found in joint.items()} == {
        "cremad": 100,
        "kinetics-sounds": 60,
        "ave": 150,
        "ucf101": 150,
        "modelnet40": 150,
    }


@pytest.mark.parametrize("key", PRESETS, ids=" ".join)
def test_a_preset_names_its_code_and_what_it_does_otherwise(key):
    found = PRESETS[key]
    assert "commit " in found.source
    assert found.differences
    for sentence in found.differences:
        assert sentence[0].isupper() and sentence[-1] != "." and "the code" in sentence
        assert str(found).count(f"- {sentence}.") == 1
    assert str(found).isascii()  # for a narrow console


def test_the_first_upload_is_not_claimed_whole():
    found = PRESETS["kinetics-sounds", "boosting"]
    assert "without that one's gate" in str(found) and "by a gate" in found.differences[0]
    assert "gate" not in str(PRESETS["cremad", "boosting"])


@pytest.mark.parametrize("data", ["ucf101", "modelnet40"])
@pytest.mark.parametrize("method", ["detached", "joint"])
def test_di_mml_flips_what_belongs_together_apart(data, method):
    """Its flow is mirrored in u alone, its two views are cropped and flipped each on its own."""
    assert PRESETS[data, method].data["aligned"] is False


def test_presets_with_a_loader_that_takes_the_first_frames_take_them(tmp_path):
    """OGM-GE's and AUG's loaders draw numbers and then take the first frames of the folder."""
    for key in PRESETS:
        first = PRESETS[key].source.startswith(("OGM-GE", "AUG"))
        assert (PRESETS[key].data.get("frames_from") == "first") == first
    write_sample("cremad", tmp_path)
    options = PRESETS["cremad", "ogm-ge"].data | {"size": 28, "crops": "shared"}
    data = CremaD(tmp_path, "train", **options)
    late = torch.full((1, 8), 0.99)
    taken = data.take(torch.tensor([0]), late)["visual"][0, :, 0]
    assert torch.equal(taken, data.whole(0)["visual"][0])

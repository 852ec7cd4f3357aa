"""Checkpoints: whole at any moment, the last and the best; what is wrong with one is said."""

import os
import subprocess
import sys
import warnings
from itertools import permutations

import numpy as np
import pytest
import torch

from mmlib.checkpoints import best_path, load_checkpoint, open_checkpoint, save_checkpoint
from mmlib.devices import seeded
from mmlib.methods import NAMED, make_method
from mmlib.methods.joint import Joint
from mmlib.training import fit
from toys import Linear, over_rows, rows, weights

NEED = {"boosting-heavier": {"loss_weights": {"visual": 3.0}}}
NEED |= {"boosting-fixed": {"start": {"visual": 3}}}


def two(name="joint", seed=0, epochs=4, encoders=0, kind=Linear, **options):
    """A method over two modalities of `rows`."""
    with seeded(encoders):
        encoders = {m: kind() for m in ("audio", "visual")}
    options = NEED.get(name, {}) | options
    return make_method(name, encoders, 5, epochs, seed, dataset=rows(), **options)


def test_a_finished_run_resumes_to_itself(tmp_path):
    path = tmp_path / "checkpoint.pt"
    trained = over_rows()
    history = fit(trained, rows(), 4, 8, checkpoint=path, progress=False)
    again = over_rows()
    assert fit(again, rows(), 4, 8, checkpoint=path, resume=True, progress=False) == history
    assert torch.equal(weights(trained), weights(again))


def test_checkpoint_bad_input(tmp_path):
    path = tmp_path / "checkpoint.pt"
    fit(over_rows(), rows(), 4, 8, checkpoint=path, progress=False)
    with pytest.raises(FileExistsError, match="resume=True"):
        fit(over_rows(), rows(), 4, 8, checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="is of a run with method 'joint', not 'ensemble'"):
        load_checkpoint(path, over_rows("ensemble"))
    other = over_rows()
    other.model.head = torch.nn.Linear(9, 6)
    with pytest.raises(ValueError, match="of a model of other sizes"):
        load_checkpoint(path, other)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        load_checkpoint(path, over_rows())
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none.pt", over_rows())


def test_an_interrupted_save_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, over_rows(), [])
    before = path.read_bytes()

    def half(state, beside):
        beside.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, over_rows(), [])
    assert path.read_bytes() == before


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, over_rows(), [])
    before = path.read_bytes()

    def full(state, beside):
        beside.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"pt cannot be written \(Pytorch.*is the disk full"):
        save_checkpoint(path, over_rows(), [])
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == before


def test_the_best_state_on_validation_is_kept(tmp_path):
    values = iter([0.2, 0.5, 0.5, 0.4])
    trained = over_rows()
    states = []

    def evaluate(trained):
        states.append(weights(trained))
        return {"val_fused": next(values)}

    fit(
        trained,
        rows(),
        4,
        8,
        evaluate=evaluate,
        checkpoint=tmp_path / "last.pt",
        best="val_fused",
        progress=False,
    )
    best = over_rows()
    assert len(load_checkpoint(tmp_path / "last-best.pt", best)) == 2  # of equal ones the first
    assert torch.equal(weights(best), states[1])
    last = over_rows()
    assert len(load_checkpoint(tmp_path / "last.pt", last)) == 4
    assert torch.equal(weights(last), states[3])


def test_a_best_that_no_row_has(tmp_path):
    with pytest.raises(ValueError, match="best is 'val_fused'; choose one of epoch, "):
        fit(
            over_rows(),
            rows(),
            4,
            8,
            checkpoint=tmp_path / "a.pt",
            best="val_fused",
            progress=False,
        )


@pytest.mark.parametrize("options", [{"lr": np.float64(0.1)}, {"weight_decay": np.float32(0.5)}])
def test_a_number_of_numpy_is_read_back(options, tmp_path):
    path = tmp_path / "a.pt"
    for stop in (2, 4):
        method = make_method("joint", {"audio": Linear()}, 5, 4, **options)
        assert len(fitted(path, method, stop=stop, resume=True)) == stop


def test_a_state_that_could_not_be_read_back_is_refused_at_once(tmp_path):
    method = over_rows()
    method.state_dict = lambda: {"parts": [1, {"best": np.float64(0.5)}, (np.ones(2), {3})]}
    with pytest.raises(ValueError, match=r"\['parts'\]\[2\]\[1\] of the method is a set,"):
        save_checkpoint(tmp_path / "a.pt", method, [])
    assert not list(tmp_path.iterdir())


def test_encoders_in_another_order_are_another_network(tmp_path):
    path, names = tmp_path / "a.pt", ["audio", "visual"]
    method = make_method("joint", {m: Linear() for m in names}, 5, 4)
    fitted(path, method)
    other = make_method("joint", {m: Linear() for m in reversed(names)}, 5, 4)
    with pytest.raises(ValueError, match=r"modalities \['audio', 'visual'\], not \['visual', 'au"):
        load_checkpoint(path, other)
    bent = make_method("joint", {m: Bent() for m in names}, 5, 4)
    with pytest.raises(ValueError, match="is of a run with other encoders"):
        load_checkpoint(path, bent)


class Bent(Linear):
    """As many weights, another network."""


def fitted(path, method, data=None, stop=2, batch_size=8, seed=0, **options):
    """The history of a run, ended after so many of its epochs."""
    data, planned = rows() if data is None else data, method.epochs
    options = {"after_epoch": lambda history: len(history) >= stop, "progress": False} | options
    return fit(method, data, planned, batch_size, seed, checkpoint=path, **options)


def changed(**values):
    data = rows()
    for name, x in values.items():
        data.inputs |= {name: x} if name in data.inputs else {}
        data.target = x if name == "target" else data.target
    return data


# what the second run changes: its method, what `fit` gets, what is said
OTHERS = {
    "seed": ({"seed": 1}, {}, "with seed 0, not 1; give another path, or seed=0"),
    "method": ({"name": "ogm-ge"}, {}, "with method 'joint', not 'ogm-ge'; give another path"),
    "rate": ({"lr": 0.3}, {}, r"with lr 0\.2, not 0\.3; give another path, or lr=0\.2"),
    "decay": ({"weight_decay": 0.1}, {}, r"with weight_decay 0\.0001, not 0\.1; give"),
    "schedule": ({"epochs": 5}, {}, "with epochs 4, not 5; give another path, or epochs=4"),
    "falls": ({"decay_at": (1,)}, {}, r"with decay_at None, not \[1\]; give another path"),
    "start": ({"initialisation": "xavier"}, {}, "with initialisation None, not 'xavier'; give"),
    "encoders": ({"kind": Bent}, {}, "with other encoders; give another path, or the encoders of"),
    "fit's seed": ({}, {"seed": 1}, "with fit's seed 0, not 1; give another path, or seed=0"),
    "batch": ({}, {"batch_size": 4}, "with batch_size 8, not 4; give another path, or batch_size"),
    "samples": ({}, {"data": rows(39)}, "with other samples; give another path, or the samples"),
    "targets": ({}, {"data": changed(target=rows().target.flip(0))}, "with other targets; give"),
    "inputs": ({}, {"data": changed(audio=rows().inputs["rear"])}, "with other inputs; give"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_run_does_not_go_on_from_another_ones_checkpoint(case, tmp_path):
    path = tmp_path / "checkpoint.pt"
    fitted(path, two())
    before = path.read_bytes()
    options, given, said = OTHERS[case]
    with pytest.raises(ValueError, match=f"checkpoint.pt is of a run {said}") as caught:
        fitted(path, two(**options), resume=True, **given)
    assert "\n" not in str(caught.value) and path.read_bytes() == before
    fitted(path, two(), stop=3, resume=True)  # what is asked for may be more


def test_a_checkpoint_of_more_epochs_than_are_asked_for(tmp_path):
    fitted(tmp_path / "a.pt", two())
    with pytest.raises(ValueError, match="a.pt holds 2 epochs, not 1; give epochs=2 or more, or"):
        open_checkpoint(tmp_path / "a.pt", True, two(), epochs=1)


def test_the_same_run_in_other_words(tmp_path):
    path = tmp_path / "checkpoint.pt"
    fitted(path, two("valuation", decay_at=(2,)))
    same = two("valuation", encoders=1, lr=np.float64(0.2), decay_at=[2], warmup=1)
    assert len(fitted(path, same, resume=True, stop=3)) == 3


@pytest.mark.slow
def test_no_method_takes_the_weights_of_another(tmp_path):
    for name in NAMED:
        save_checkpoint(tmp_path / f"{name}.pt", two(name), [])
    methods = {name: two(name) for name in NAMED}
    for saved, name in permutations(NAMED, 2):
        with pytest.raises(ValueError, match=f"run with method '{saved}', not '{name}'"):
            load_checkpoint(tmp_path / f"{saved}.pt", methods[name])
    for name in NAMED:
        load_checkpoint(tmp_path / f"{name}.pt", methods[name])


class Own(Joint):
    """A reader's method."""


class Other(Own):
    """And another one."""


def test_a_method_of_ones_own_is_known_by_its_class_or_what_it_says(tmp_path):
    path = tmp_path / "a.pt"
    save_checkpoint(path, Own(two().model, 4), [])
    load_checkpoint(path, Own(two().model, 4))
    for wrong in (Other(two().model, 4), two(), Joint(two().model, 4)):
        with pytest.raises(ValueError, match="is of a run with method 'Own', not '"):
            load_checkpoint(path, wrong)
    fitted(tmp_path / "b.pt", first := Own(two().model, 4))
    first.identity = {"kappa": torch.tensor(2.0)}
    save_checkpoint(tmp_path / "c.pt", first, [])
    first.identity = {"kappa": 3}
    fitted(tmp_path / "b.pt", first, resume=True)  # which said nothing of it
    with pytest.raises(ValueError, match=r"is of a run with kappa 2\.0, not 3; give another path"):
        fitted(tmp_path / "c.pt", first, resume=True)


def test_a_loop_over_seeds_needs_as_many_paths(tmp_path):
    """README's snippet, once with one path for all."""
    found = []
    for seed in range(2):
        method = two(seed=seed, encoders=seed)
        fitted(tmp_path / f"{seed}.pt", method, seed=seed, resume=True)
        found.append(weights(method))
    assert not torch.equal(*found)
    with pytest.raises(ValueError, match="is of a run with seed 0, not 1"):
        fitted(tmp_path / "0.pt", two(seed=1, encoders=1), seed=1, resume=True)


def test_two_checkpoints_in_one_folder_have_a_best_one_each(tmp_path):
    for name, seed in (("a.pt", 0), ("b.pt", 1)):
        options = {"evaluate": lambda method: {"score": 1.0}, "best": "score"}
        fitted(tmp_path / name, two(seed=seed), stop=1, **options)
    assert sorted(x.name for x in tmp_path.glob("[!.]*")) == [
        *("a-best.pt", "a.pt", "b-best.pt", "b.pt")
    ]
    load_checkpoint(best_path(tmp_path / "a.pt"), two())


@pytest.mark.parametrize("name", NAMED)
def test_what_a_method_needs_at_test_time_is_in_its_state(name, tmp_path):
    path, trained = tmp_path / "a.pt", two(name, epochs=2)
    fitted(path, trained)
    again = two(name, epochs=2, encoders=1)
    load_checkpoint(path, again)
    wanted, found = (method.predict(rows().inputs) for method in (trained, again))
    assert all(torch.equal(z, found[m]) for m, z in wanted.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("epoch", [2, 4])
def test_the_same_object_goes_on_from_where_it_was_broken_off(name, epoch, tmp_path):
    """As in a notebook: Ctrl-C within an epoch, then the cell once more."""
    path, whole, method = tmp_path / "a.pt", two(name), two(name)
    fitted(tmp_path / "whole.pt", whole, stop=4)
    steps, step = [], method.step

    def broken_off(*batch):
        steps.append(1)
        if len(steps) > wanted:
            raise KeyboardInterrupt
        return step(*batch)

    wanted = sum(_steps(name, epoch)) - 2
    method.step = broken_off
    with pytest.raises(KeyboardInterrupt):
        fitted(path, method, stop=4)
    method.step = step
    assert len(fitted(path, method, stop=4, resume=True)) == 4
    assert torch.equal(weights(whole), weights(method))
    assert all(map(torch.equal, *(x.predict(rows().inputs).values() for x in (whole, method))))


def _steps(name, epochs):
    """How many steps each of the first epochs has."""
    return [-(-row["samples"] // 8) for row in fitted(None, two(name), stop=epochs)]


def test_a_trained_method_in_a_new_path_is_told(tmp_path):
    method = two()
    fitted(tmp_path / "a.pt", method, stop=1)
    with pytest.warns(UserWarning, match="b.pt is new, but the method has been trained: the run"):
        fitted(tmp_path / "b.pt", method, stop=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(tmp_path / "c.pt", two(), stop=1)


LIES = {
    "text": ({"history": [{"epoch": 1, "loss": "low"}]}, "its history holds other things than num"),
    "no rows": ({"history": 3}, r"is damaged or no checkpoint \('int' object is not iterable\)"),
    "no run": ({"run": None}, "does not say of which run it is, as those from before December 202"),
    "odd run": ({"run": [3]}, "is damaged or no checkpoint"),
    "state": ({"state": [3]}, "is of a model of other sizes"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_checkpoint_that_lies_is_one_sentence(case, tmp_path):
    path = tmp_path / "a.pt"
    save_checkpoint(path, two(), [{"epoch": 1, "loss": 0.5}])
    torch.save(torch.load(path) | LIES[case][0], path)
    with pytest.raises(ValueError, match=LIES[case][1]) as caught:
        fitted(path, two(), resume=True)
    assert str(caught.value).startswith(f"{path} ") and "\n" not in str(caught.value)


def test_a_history_is_of_numbers_of_any_kind(tmp_path):
    kinds = iter([np.float32(0.5), torch.tensor(0.25), "high"])
    path, method = tmp_path / "a.pt", two()
    with pytest.raises(ValueError, match="score of an epoch is 'high'; let evaluate return numb"):
        fitted(path, method, stop=3, evaluate=lambda _: {"score": next(kinds)})
    history = load_checkpoint(path, two())
    assert [row["score"] for row in history] == [0.5, 0.25]


def test_the_best_after_one_that_is_not_a_number(tmp_path):
    values = iter([float("nan"), 0.5, 0.2])
    options = {"evaluate": lambda _: {"score": next(values)}, "best": "score"}
    fitted(tmp_path / "a.pt", two(), stop=3, **options)
    assert len(load_checkpoint(tmp_path / "a-best.pt", two())) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders there")
def test_a_pipe_or_folder_in_place_of_a_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "a.pt")
    (tmp_path / "b.pt").mkdir()
    for name in ("a.pt", "b.pt"):
        with pytest.raises(ValueError, match=f"{name} is a folder or device, not a file; give"):
            fitted(tmp_path / name, two(), resume=True)


HOLD = """
import sys
from mmlib.training import fit
from test_checkpoints import rows, two
def wait(method):
    print("there", flush=True)
    sys.stdin.read()
    return {}
fit(two(epochs=1), rows(), 1, 8, checkpoint=sys.argv[1], evaluate=wait, progress=False)
"""


@pytest.mark.slow
def test_two_processes_on_one_checkpoint(tmp_path):
    path, pipe = tmp_path / "a.pt", subprocess.PIPE
    command = [sys.executable, "-c", HOLD, str(path)]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=paths) as other:
        assert other.stdout.readline() == "there\n"
        with pytest.raises(FileExistsError, match="another training on a.pt is at work in"):
            fitted(path, two(), stop=1)
        fitted(tmp_path / "b.pt", two(), stop=1)  # beside it there is room
        assert not path.exists()
        other.communicate("")
        assert path.exists() and other.returncode == 0

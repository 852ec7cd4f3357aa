"""Checkpoints: whole at any moment, the last and the best; what is wrong with one is said."""

import pytest
import torch

from mmlib.checkpoints import load_checkpoint, save_checkpoint
from mmlib.training import fit
from toys import over_rows, rows, weights


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
    with pytest.raises(ValueError, match="holds a Joint, not a Ensemble"):
        load_checkpoint(path, over_rows("ensemble"))
    with pytest.raises(ValueError, match="of a model of other sizes"):
        load_checkpoint(path, over_rows(modalities=("audio",)))
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
    with pytest.raises(OSError, match="checkpoint.pt cannot be written: Pytorch"):
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
    assert len(load_checkpoint(tmp_path / "best.pt", best)) == 2  # of equal ones the first
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

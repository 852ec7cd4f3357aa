"""With `missing="drop"` samples that lack a file are left out, counted, and no others move."""

import builtins
import os
import shutil
from pathlib import Path

import pytest
import torch

from mmlib.data import DATA
from mmlib.data.reading.lists import SPLITS
from mmlib.data.reading.missing import Dropped, Folders

REAL = sorted(DATA.keys() - {"av-digits"})
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
pytestmark = pytest.mark.slow  # files are copied for each


def opened(name, root, split, **options):
    return DATA[name](root, split, cache=False, **options)


def take_away(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("name", REAL)
def test_what_lacks_a_file_is_left_out_and_nothing_moves(name, own):
    root = own(name)
    whole = {split: opened(name, root, split) for split in SPLITS}
    same = {split: opened(name, root, split, missing="drop") for split in SPLITS}
    for split, data in same.items():
        assert data.ids == whole[split].ids and data.target.equal(whole[split].target)
        assert data.dropped == Dropped(len(data), len(data)) and whole[split].dropped is None
    if name == "nyud2":  # no list says that one is missing
        for data in whole.values():
            data.sources(1)[0].write_bytes(b"")
    else:
        for data in whole.values():
            take_away(data._needs(data._entries[1])[-1])
    for split, data in whole.items():
        kept = opened(name, root, split, missing="drop")
        assert kept.ids == data.ids[:1] + data.ids[2:]
        assert kept.target.tolist() == data.target.tolist()[:1] + data.target.tolist()[2:]
        assert (kept.dropped.listed, kept.dropped.kept) == (len(data), len(data) - 1)
        lost = data._needs(data._entries[1])[-1]
        assert kept.dropped.first.startswith(f"{lost} is ")
        raw, again = kept.take(torch.tensor([0])), data.take(torch.tensor([0]))
        raw.pop("text", None)  # its numbers are those of fewer words
        assert all(x.equal(again[modality]) for modality, x in raw.items())


def test_stubs_and_empty_folders_count_as_missing_and_nothing_else_is_opened(own, monkeypatch):
    root = own("cremad")
    data = opened("cremad", root, "train")
    files = [data.files(i) for i in range(5)]
    files[0]["audio"].write_bytes(b"")
    files[1]["audio"].write_bytes(POINTER)
    shutil.rmtree(files[2]["visual"])
    files[2]["visual"].mkdir()
    (files[2]["visual"] / "._00000.jpg").write_bytes(b"hidden")
    files[3]["audio"].unlink()
    files[3]["audio"].symlink_to(root / "gone.wav")
    read, open_ = [], builtins.open

    def watched(path, *args, **options):
        read.append(str(path))
        return open_(path, *args, **options)

    monkeypatch.setattr(builtins, "open", watched)
    kept = opened("cremad", root, "train", missing="drop")
    monkeypatch.undo()
    assert kept.ids == data.ids[4:] and kept.dropped.dropped == 4
    small = [str(files[i]["audio"]) for i in range(2)]  # and of these the first bytes
    assert [path for path in read if path.endswith((".wav", ".jpg"))] == small


def test_a_folder_is_listed_once(tmp_path, monkeypatch):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(bytes(range(256)) * 8)
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path)) or scandir(path))
    folders = Folders()
    paths = [tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "c.wav"]
    assert folders.lacks(paths[:2]) == ""
    assert folders.lacks(paths) == f"{paths[2]} is missing"
    assert folders.lacks([tmp_path / "none" / "a.wav"]).endswith("none/a.wav is missing")
    assert listed == [tmp_path, tmp_path / "none"]


def test_a_class_without_samples(own):
    root = own("ave")
    for split, label in (("val", 1), ("train", 0)):
        data = opened("ave", root, split)
        for i in (data.target == label).nonzero().flatten().tolist():
            data.files(i)["audio"].unlink()
    kept = opened("ave", root, "val", missing="drop")
    assert kept.dropped.emptied == ("Male speech, man speaking",)
    assert str(kept.dropped).startswith(
        "1 of 2 samples kept, 1 dropped; none is left of class Male speech, man speaking; the first"
    )
    with pytest.raises(
        FileNotFoundError, match=r"of class Church bell in split 'train' of .* lack"
    ):
        opened("ave", root, "train", missing="drop")
    for path in (root / "AudioWAV").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"all 2 samples of split 'test' of .* lack a file"):
        opened("ave", root, "test", missing="drop")


def test_the_vocabulary_is_that_of_the_training_texts_that_are_there(own):
    root = own("mvsa-single", layout="mla")
    data = opened("mvsa-single", root, "train")
    data.sources(0)[1].unlink()
    parts = [opened("mvsa-single", root, split, missing="drop") for split in SPLITS]
    assert len({part.tokenizer.words for part in parts}) == 1
    with pytest.raises(FileNotFoundError, match="put the text of the tweet there"):
        len(opened("mvsa-single", root, "test").tokenizer)


def test_the_kind_of_sounds_is_known_though_the_first_ones_are_missing(own):
    root = own("ave", pickled=True, clips_per_class=50)
    data = opened("ave", root, "train")
    for i in range(25):
        data.files(i)["audio"].unlink()
    kept = opened("ave", root, "train", missing="drop")
    assert kept.ids == data.ids[25:] and kept.files(0)["audio"].suffix == ".pkl"


def test_an_unknown_word_for_missing(own):
    with pytest.raises(ValueError, match="missing is 'skip'; choose one of error, drop"):
        opened("cremad", own("cremad"), "train", missing="skip")

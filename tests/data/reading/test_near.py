"""Names that nearly fit: read where one thing alone can be meant, told where not."""

import os
import shutil
import unicodedata

import pytest
import torch

from mmlib.data import UCF101, CremaD, KineticsSounds, ModelNet40, MVSASingle, NYUDepthV2
from mmlib.data.reading import near
from mmlib.data.reading.folders import file_of, first_file, folder_of, frame_names, inner_folder
from mmlib.data.reading.media import read_sound
from mmlib.data.reading.near import beside, matched, near_names

NFC, NFD = (unicodedata.normalize(form, "caf\u00e9.wav") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("wanted", "there", "found"),
    [
        (["a.wav"], ["a.WAV"], {"a.wav": "a.WAV"}),
        (["a.jpg"], ["a.webp"], {"a.jpg": "a.webp"}),
        (["a.jpg"], ["A.JPEG"], {"a.jpg": "A.JPEG"}),
        ([NFC], [NFD], {NFC: NFD}),
        ([NFD], [NFC], {NFD: NFC}),
        (["1_SAD_XX.wav"], ["1_SAD_X.wav"], {"1_SAD_XX.wav": "1_SAD_X.wav"}),
        (["1_SAD_X"], ["1_SAD_XX"], {"1_SAD_X": "1_SAD_XX"}),
        (["a.wav"], ["a.WAV", "a.wav"], {}),  # it is there
        (["a.wav"], ["a.WAV", "A.wav"], {}),  # which one?
        (["a.wav", "A.wav"], ["A.WAV"], {}),  # whose?
        (["1_X", "1_XX"], ["1_X"], {}),  # it is another's
        (["a.wav"], ["a.flac", "ab.wav", "b.wav"], {}),
    ],
)
def test_what_differs_in_spelling_alone(wanted, there, found):
    assert matched(wanted, there) == found


def files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_between_are_looked_into_where_nothing_is_in_place(tmp_path):
    files(tmp_path, "one/a.wav", "one/both.wav", "two/B.WAV", "two/both.wav", ".hidden/c.wav")
    wanted = ["a.wav", "b.wav", "c.wav", "both.wav"]
    assert near_names(tmp_path, wanted) == {"a.wav": "one/a.wav", "b.wav": "two/B.WAV"}
    files(tmp_path, "c.wav")
    assert near_names(tmp_path, wanted) == {}  # a usual folder, where some are missing
    assert near_names(tmp_path / "gone", wanted) == {}


def test_thousands_of_folders_are_not_looked_into(tmp_path, monkeypatch):
    monkeypatch.setattr(near, "MOST_BETWEEN", 3)
    files(tmp_path, *(f"clip{k}/a.wav" for k in range(4)))
    assert near_names(tmp_path, ["a.wav"]) == {}


@pytest.mark.parametrize(
    ("missing", "there", "meant"),
    [
        ("a.wav", "a.flac", "a.flac"),
        ("clip", "clip.jpg", "clip.jpg"),
        ("clip", "clip_00000.jpg", "clip_00000.jpg"),
        ("AudioWAV/a.wav", "audiowav/a.wav", "audiowav"),
        ("AudioWAV", "CREMA-D/AudioWAV/a.wav", "CREMA-D/AudioWAV"),
        ("13.jpg", "130.jpg", ""),
        ("gone.wav", "a.wav", ""),
    ],
)
def test_an_error_tells_what_lies_beside(missing, there, meant, tmp_path):
    files(tmp_path, there)
    said = f" (did you mean {tmp_path / meant}?)" if meant else ""
    assert beside(tmp_path / missing) == said
    for door in (file_of, folder_of):
        with pytest.raises(FileNotFoundError) as caught:
            door(tmp_path / missing, "what belongs there")
        assert str(caught.value).endswith(f"what belongs there{said}")


def test_every_door_asks(tmp_path):
    files(tmp_path, "Train.csv", "Clip/00000.jpg", "CLIP.wav", "other/x")
    with pytest.raises(FileNotFoundError, match="did you mean .*Train.csv"):
        first_file(tmp_path, "train.csv", "train.txt")
    with pytest.raises(FileNotFoundError, match="did you mean .*CLIP.wav or .*Clip"):
        frame_names(tmp_path / "clip")
    with pytest.raises(FileNotFoundError, match=f"did you mean {tmp_path / 'Clip'}"):
        folder_of(tmp_path / "other" / "Clip", "the clips")  # one step too deep


def test_frames_of_any_kind(tmp_path):
    files(tmp_path, "b.WEBP", "a.JPG", "c.jpeg", "d.png", "notes.txt")
    assert frame_names(tmp_path) == ["a.JPG", "b.WEBP", "c.jpeg", "d.png"]
    files(tmp_path, "clip/clip/00000.jpg")
    with pytest.raises(FileNotFoundError, match="holds no frames.*did you mean .*clip/clip"):
        frame_names(tmp_path / "clip")


def test_what_cannot_be_looked_into_is_no_error_of_its_own(tmp_path, monkeypatch):
    files(tmp_path, "a.WAV")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    assert beside(tmp_path / "a.wav") == "" and near_names(tmp_path, ["a.wav"]) == {}
    assert beside("x" * 5000) == beside("a\0b") == ""


def test_a_folder_in_a_folder_of_its_own_name(tmp_path):
    files(tmp_path, "AVE/AVE/trainSet.txt")
    assert inner_folder(tmp_path, "AVE") == tmp_path / "AVE" / "AVE"


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_names_of_an_old_encoding(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.wav")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    assert "did you mean" in beside(tmp_path / NFC)
    assert "caf\\udce9.wav', whose name is not UTF-8: rename it" in beside(tmp_path / NFC)
    (tmp_path / os.fsdecode(b"\xe9.jpg")).touch()
    with pytest.raises(ValueError, match=r"a name that is not UTF-8, '\\udce9.jpg'; rename it"):
        frame_names(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_sound_whose_name_is_of_an_old_encoding_is_to_be_renamed(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    try:
        path.write_bytes(b"RIFF")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    assert near_names(tmp_path, [NFC]) == {NFC: path.name}
    with pytest.raises(
        ValueError, match=r"caf\\udce9.wav' has a name that is not UTF-8; rename it"
    ):
        read_sound(path, 16_000)


# whole data sets


def read(dataset):
    return dataset.take(torch.arange(len(dataset)))


def same(first, second):
    assert first.keys() == second.keys()
    assert all(first[m].equal(second[m]) for m in first)


def upper(path):
    return path.rename(path.with_suffix(path.suffix.upper()))


def test_cremad_as_it_comes_from_other_hands(own):
    root = own("cremad")
    options = {"size": 28, "cache": False}
    wanted = read(CremaD(root, "train", **options))
    for path in [*(root / "AudioWAV").iterdir(), *(root / "Image-01-FPS").rglob("*.jpg")]:
        upper(path)
    clip = CremaD(root, "train", **options).ids[0]
    assert clip.endswith("_XX")
    (root / "AudioWAV" / f"{clip}.WAV").rename(root / "AudioWAV" / f"{clip[:-1]}.wav")
    (root / "Image-01-FPS" / clip).rename(root / "Image-01-FPS" / clip[:-1])
    same(read(CremaD(root, "train", **options)), wanted)
    for folder in ("AudioWAV", "Image-01-FPS"):  # unpacked twice
        (root / folder).rename(root / "away")
        (root / folder).mkdir()
        (root / "away").rename(root / folder / folder)
    data = CremaD(root, "train", **options)
    same(read(data), wanted)
    assert all(path.exists() for path in [*data.files(0).values(), *data.sources(0)])


def test_kinetics_in_folders_of_classes(own):
    root = own("kinetics-sounds")
    data = KineticsSounds(root, "train", size=28, cache=False)
    wanted = read(data)
    for clip, label in zip(data.ids, data.target.tolist()):
        for folder in ("ks_audio", "ks_visual"):
            home = root / folder / "train"
            [path] = home.glob(f"{clip}*")
            (home / f"class {label}").mkdir(exist_ok=True)
            path.rename(home / f"class {label}" / path.name)
    same(read(KineticsSounds(root, "train", size=28, cache=False)), wanted)


def test_flat_pictures_are_no_frames_of_a_clip_but_told(own):
    root = own("cremad")
    data = CremaD(root, "train", size=28, cache=False)
    folder = root / "Image-01-FPS" / data.ids[0]
    for path in folder.iterdir():
        path.rename(folder.with_name(f"{folder.name}_{path.name}"))
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match=f"did you mean .*{data.ids[0]}_00000.jpg"):
        data.take(torch.tensor([0]))


def test_pictures_and_texts_of_tweets(own):
    root = own("mvsa-single", layout="raw")
    wanted = read(MVSASingle(root, "train", cache=False))
    for path in (root / "data").iterdir():
        upper(path)
    data = MVSASingle(root, "train", cache=False)
    same(read(data), wanted)
    assert {path.suffix for path in data.sources(0)} == {".JPG", ".TXT"}


@pytest.mark.parametrize(("kind", "name"), [(NYUDepthV2, "nyud2"), (UCF101, "ucf101")])
def test_pictures_with_other_endings(kind, name, own):
    root = own(name)
    options = {"flow_frames": 4} if kind is UCF101 else {}
    wanted = read(kind(root, "train", cache=False, **options))
    for path in [*root.rglob("*.jpg"), *root.rglob("*.png")]:
        path.rename(path.with_suffix(".jpeg"))
    same(read(kind(root, "train", cache=False, **options)), wanted)


def test_other_renders_of_modelnet_are_told(own):
    root = own("modelnet40")
    for path in root.rglob("*_v001.png"):
        path.rename(path.with_suffix(".jpg"))
    (root / "train.txt").unlink()
    with pytest.raises(ValueError, match="holds .*png and no view that ends in _v001.png"):
        ModelNet40(root, "train", cache=False)

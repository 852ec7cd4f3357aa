"""CREMA-D: every layout is read as meant, every wrong line is refused."""

import shutil

import pytest

from mmlib.data import CremaD
from mmlib.data.cremad import LABELS, actor_of, actors_of
from mmlib.data.reading.lists import SPLITS

SMALL = {"size": 28}  # cached with 32 x 32


@pytest.fixture
def cremad(tree):
    return lambda split="train", **options: CremaD(tree("cremad"), split, **SMALL | options)


def rewrite(path, change):
    path.write_bytes(change(path.read_bytes()))


def lines_of(path):
    return path.read_text().splitlines()


def test_the_usual_split_of_cremad(cremad, tree):
    parts = {split: cremad(split) for split in ("train", "val", "test")}
    lists = tree("cremad") / "data" / "CREMAD"
    assert set(parts["test"].ids) == {line.split(",")[0] for line in lines_of(lists / "test.csv")}
    train, val = set(parts["train"].ids), set(parts["val"].ids)
    assert not train & val
    assert train | val == {line.split(",")[0] for line in lines_of(lists / "train.csv")}
    assert parts["val"].target.bincount().tolist() == [1] * 6
    for dataset in parts.values():
        for id, label in zip(dataset.ids, dataset.target.tolist()):
            assert dataset.classes[label] == id.split("_")[2]
    assert parts["train"].classes == ("NEU", "HAP", "SAD", "FEA", "DIS", "ANG")
    assert cremad("val").ids == parts["val"].ids


def test_the_usual_split_leaks_speakers_and_the_other_does_not(cremad):
    for split_by, shared in (("list", 4), ("actor", 0)):
        actors = [set(map(actor_of, cremad(s, split_by=split_by).ids)) for s in ("train", "test")]
        assert len(actors[0] & actors[1]) == shared


def test_splitting_by_actor_deals_out_every_clip(cremad):
    parts = [cremad(split, split_by="actor").ids for split in ("train", "val", "test")]
    assert sorted(sum(parts, ())) == sorted(sum((cremad(s).ids for s in SPLITS), ()))
    assert len(set(sum(parts, ()))) == 72


def test_the_draw_of_actors_is_fixed_for_good():
    actors = {str(number) for number in range(1001, 1092)}
    parts = {split: actors_of(split, actors) for split in SPLITS}
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 73,
        "val": 9,
        "test": 9,
    }
    assert set.union(*parts.values()) == actors
    assert sorted(parts["test"]) == TEST_ACTORS
    with pytest.raises(ValueError, match="2 actors; splitting by actor needs at least 3"):
        actors_of("val", {"1001", "1002"})


TEST_ACTORS = "1038 1039 1040 1047 1049 1055 1064 1085 1086".split()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b",", b" , ").replace(b"\n", b"\n\n"),
        lambda text: text.replace(b",", b".flv ").replace(b"NEU\n", b"Neutral\n"),
        lambda text: text.replace(b",", b".flv\t").replace(b" ANG\n", b" Anger\n"),
    ],
)
def test_lists_of_cremad_in_other_forms(change, own):
    root = own("cremad")
    wanted = CremaD(root, "train", **SMALL)
    rewrite(root / "data" / "CREMAD" / "train.csv", change)
    found = CremaD(root, "train", **SMALL)
    assert found.ids == wanted.ids and found.target.equal(wanted.target)


def test_every_spelling_of_an_emotion(own, tmp_path):
    root = own("cremad")
    spelled = [(i, name) for i, names in enumerate(LABELS.values()) for name in names]
    (tmp_path / "test.txt").write_text(
        "".join(f"c{n}.flv {name}\n" for n, (_, name) in enumerate(spelled))
    )
    dataset = CremaD(root, "test", lists=tmp_path, **SMALL)
    assert dataset.target.tolist() == [label for label, _ in spelled]
    assert dataset.ids[0] == "c0"


def test_lists_beside_the_media(own):
    root = own("cremad")
    wanted = CremaD(root, "test", **SMALL).ids
    (root / "data" / "CREMAD" / "test.csv").rename(root / "test.csv")
    shutil.rmtree(root / "data")
    assert CremaD(root, "test", **SMALL).ids == wanted
    with pytest.raises(FileNotFoundError, match=r"cremad holds no list train\.csv or train\.txt"):
        CremaD(root, "train")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1001_IEO_ANG_HI", r"csv:4 is '1001_IEO_ANG_HI'; expected 'clip,LABEL'"),
        ("a,ANG,3", "csv:4 is 'a,ANG,3'; expected 'clip,LABEL'"),
        (",ANG", "csv:4 is ',ANG'; expected"),
        ("a,", "csv:4 is 'a,'; expected"),
        ("a,JOY", "csv:4 is 'JOY'; expected one of the classes NEU"),
        ("../../a,ANG", r"csv:4 is '\.\./\.\./a'; expected a plain file name"),
        ("/a,ANG", "csv:4 is '/a'; expected a plain file name"),
    ],
)
@pytest.mark.parametrize("split_by", ["list", "actor"])
def test_wrong_lines_of_cremad(line, message, split_by, own):
    root = own("cremad")
    path = root / "data" / "CREMAD" / "train.csv"
    lines = lines_of(path)
    path.write_text("\n".join([*lines[:3], line, *lines[3:]]))
    with pytest.raises(ValueError, match=message):
        CremaD(root, "train", split_by=split_by)


def test_a_clip_that_stands_twice_in_a_list_of_cremad(own):
    root = own("cremad")
    path = root / "data" / "CREMAD" / "train.csv"
    first = lines_of(path)[0].split(",")[0]
    rewrite(path, lambda text: text + f"{first},ANG\n".encode())
    number = len(lines_of(path))
    with pytest.raises(ValueError, match=rf"train\.csv:{number} is '{first}'.* line 1 already"):
        CremaD(root, "train")
    for repeats, label in (("first", "NEU"), ("last", "ANG")):
        pooled = [CremaD(root, s, repeats=repeats) for s in ("train", "val")]
        found = {d.classes[y] for d in pooled for id, y in zip(d.ids, d.target) if id == first}
        assert found == {label}


def test_lists_that_actors_cannot_be_read_from(own):
    root = own("cremad")
    path = root / "data" / "CREMAD" / "test.csv"
    first = lines_of(root / "data" / "CREMAD" / "train.csv")[0]
    for line, message in ((first, "a clip that is not in train too"), ("abc,ANG", "<actor>_")):
        path.write_text(line + "\n")
        with pytest.raises(ValueError, match=rf"test\.csv:1 is .*{message}"):
            CremaD(root, "test", split_by="actor")


def test_labels_outside_the_class_list(own):
    root = own("cremad")
    stat = root / "data" / "CREMAD" / "stat.csv"
    rewrite(stat, lambda text: text.replace(b"ANG\n", b""))
    with pytest.raises(ValueError, match=r"train\.csv:\d+ is 'ANG'; expected one of the classes"):
        CremaD(root, "train")
    rewrite(stat, lambda text: text + b"JOY\r\n")
    with pytest.raises(ValueError, match=r"stat\.csv:6 is 'JOY'"):
        CremaD(root, "train")

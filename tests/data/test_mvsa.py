import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as TF

from mmlib.batches import DRAWS
from mmlib.data import mvsa
from mmlib.data.mvsa import MVSASingle
from mmlib.data.text import WordTokenizer
from mmlib.encoders import TextEncoder

LAYOUTS = ("qmf", "mla", "raw")
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def trees(tree):
    return {name: tree("mvsa-single", clips_per_class=20, layout=name) for name in LAYOUTS}


@pytest.fixture
def copy(own):
    return lambda name: own("mvsa-single", clips_per_class=20, layout=name)


@pytest.fixture
def draws():
    return torch.rand(16, DRAWS, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_splits(layout, trees):
    parts = {split: MVSASingle(trees[layout], split) for split in SPLITS}
    assert [len(part) for part in parts.values()] == [36 - (layout == "raw"), 12, 12]
    assert len({id for part in parts.values() for id in part.ids}) == 60 - (layout == "raw")
    classes = parts["train"].classes
    assert sorted(classes) == ["negative", "neutral", "positive"]
    for split, part in parts.items():
        assert (part.split, part.layout, part.classes) == (split, layout, classes)
        assert part.target.dtype == torch.int64
        assert part.target.bincount(minlength=3).min() >= (2 if layout == "raw" else 4)
        assert part.ids == MVSASingle(trees[layout], split).ids


def test_classes_in_the_order_of_the_literature(trees):
    first = [json.loads(line)["label"] for line in (trees["qmf"] / "train.jsonl").open()]
    assert MVSASingle(trees["qmf"], "test").classes == tuple(dict.fromkeys(first))
    for layout in ("mla", "raw"):
        classes = MVSASingle(trees[layout], "test").classes
        assert classes == ("negative", "neutral", "positive")
    row = json.loads((trees["qmf"] / "test.jsonl").read_text().split("\n")[3])
    data = MVSASingle(trees["qmf"], "test")
    assert data.ids[3] == row["id"] and data.classes[data.target[3]] == row["label"]
    assert data.text(3) == row["text"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches(layout, trees, draws):
    data = MVSASingle(trees[layout], "val", length=12)
    raw = data.take(torch.tensor([5, 2]))
    assert raw["text"].shape == (2, 12) and raw["text"].dtype == torch.int64
    assert raw["visual"].shape == (2, 3, 256, 256) and raw["visual"].dtype == torch.uint8
    for finished in (data.finish(raw), data.finish(raw, draws[:2])):
        assert torch.equal(finished["text"], raw["text"])
        assert finished["visual"].shape == (2, 3, 224, 224)
        assert finished["visual"].dtype == torch.float32
    inputs, target, index = data[2]
    assert torch.equal(inputs["visual"], data.finish(raw)["visual"][1])
    assert torch.equal(inputs["text"], raw["text"][1]) and target == data.target[2] and index == 2


def test_pictures_as_in_qmf(copy, draws):
    root = copy("qmf")
    data = MVSASingle(root, "test")
    noise = np.random.default_rng(0).integers(0, 256, (300, 500, 3), dtype=np.uint8)
    path = data.sources(0)[0].with_suffix(".png")
    Image.fromarray(noise).save(path)
    path.rename(path.with_suffix(".jpg"))  # PIL goes by the content
    raw = data.take(torch.tensor([0]))
    whole = TF.to_tensor(TF.center_crop(TF.resize(Image.fromarray(noise), 256), 224))
    expected = TF.normalize(whole, *mvsa.STATISTICS)
    torch.testing.assert_close(data.finish(raw)["visual"][0], expected, atol=1e-5, rtol=0)
    # nothing at random, unless one asks for it
    same = data.finish(raw, draws[:1])["visual"]
    assert torch.equal(same, data.finish(raw)["visual"])
    augmented = MVSASingle(root, "train", augment=True)
    alike = {m: x.expand(16, *x.shape[1:]) for m, x in raw.items()}
    cut = augmented.finish(alike, draws)["visual"]
    assert len({x.sum().item() for x in cut}) > 8
    assert torch.equal(augmented.finish(raw)["visual"], data.finish(raw)["visual"])


def test_vocabulary_is_of_the_training_texts_alone(copy):
    root = copy("qmf")
    data = {split: MVSASingle(root, split) for split in SPLITS}
    words = data["train"].tokenizer.words
    assert words == data["val"].tokenizer.words == data["test"].tokenizer.words
    texts = [data["train"].text(i) for i in range(36)]
    assert words == WordTokenizer.from_texts(texts).words
    assert data["test"].vocabulary == len(words) > 20
    replaced = (root / "test.jsonl").read_text().replace('"text": "', '"text": "zebra zebra ')
    (root / "test.jsonl").write_text(replaced)
    test = MVSASingle(root, "test")
    assert "zebra" in test.text(0) and test.tokenizer.words == words
    assert test.take(torch.tensor([0]))["text"][0, :2].tolist() == [1, 1]  # unknown
    encoder = TextEncoder(test.vocabulary, features=4)
    assert encoder(test.take(torch.arange(12))["text"]).shape == (12, 4)


def test_another_tokenizer(trees):
    data = MVSASingle(trees["qmf"], "val", tokenizer=WordTokenizer(["happy"], length=3))
    assert data.vocabulary == 3
    assert data.take(torch.tensor([0, 1]))["text"].shape == (2, 3)


def test_no_file_but_lists_is_opened_by_the_constructor(copy):
    for layout in LAYOUTS:
        root = copy(layout)
        shutil.rmtree(root / "data")
        data = MVSASingle(root, "val")
        assert len(data) == 12
        with pytest.raises(FileNotFoundError, match=r"\d.(jpg|txt) is missing"):
            data.take(torch.tensor([0]))
        if layout != "qmf":
            with pytest.raises(FileNotFoundError, match=r"\d.txt is missing; put the text"):
                assert data.vocabulary


def test_sources(trees):
    for layout in LAYOUTS:
        data = MVSASingle(trees[layout], "test")
        paths = data.sources(0)
        assert all(path.is_file() for path in paths)
        endings = [".jpg"] if layout == "qmf" else [".jpg", ".txt"]
        assert [path.suffix for path in paths] == endings
        assert all(path.stem == data.ids[0] for path in paths)


def test_cache_and_workers(trees, tmp_path):
    index = torch.tensor([3, 1])
    without = MVSASingle(trees["mla"], "test", cache=False).take(index)
    data = MVSASingle(trees["mla"], "test", cache=tmp_path / "cache")
    for _ in range(2):
        assert all(torch.equal(data.take(index)[m], x) for m, x in without.items())
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 2
    sent = pickle.loads(pickle.dumps(data))
    assert torch.equal(sent[1][0]["visual"], data[1][0]["visual"]) and "test" in repr(sent)


def test_texts_in_other_encodings(copy):
    root = copy("mla")
    data = MVSASingle(root, "train")
    path = data.sources(0)[1]
    for content, expected in (
        ("\ufeffcafé 😀\r\n".encode(), "café 😀"),
        ("café".encode("latin-1"), "café"),
        (b"", ""),
    ):
        path.write_bytes(content)
        assert data.text(0) == expected
    assert MVSASingle(root, "train").take(torch.tensor([0]))["text"].sum() == 0


def test_windows_ends_and_byte_order_mark(copy):
    for layout, lists in (
        ("qmf", ("train.jsonl", "test.jsonl")),
        ("mla", ("my_train_mvsa.txt", "my_test_mvsa.txt", "stat_mvsa.txt")),
        ("raw", ("labelResultAll.txt",)),
    ):
        root = copy(layout)
        before = MVSASingle(root, "test")
        for name in lists:
            content = (root / name).read_bytes().replace(b"\n", b"\r\n\r\n")
            (root / name).write_bytes(b"\xef\xbb\xbf" + content)
        after = MVSASingle(root, "test")
        assert after.ids == before.ids and torch.equal(after.target, before.target)
        assert after.text(0) == before.text(0) and after.classes == before.classes


def test_validation_is_carved_where_mla_ships_none(copy):
    root = copy("mla")
    shipped = MVSASingle(root, "train")
    (root / "my_val_mvsa.txt").unlink()
    train, val = (MVSASingle(root, split) for split in ("train", "val"))
    assert set(train.ids) | set(val.ids) == set(shipped.ids)
    assert len(val) == 3 and not set(train.ids) & set(val.ids)
    assert val.tokenizer.words == train.tokenizer.words


def test_cleaning_of_raw_labels(tmp_path):
    (tmp_path / "labelResultAll.txt").write_text(
        "ID\ttext,image\n"
        + "".join(
            f"{k}{number}\t{labels}\n"
            for k in range(1, 11)
            for number, labels in enumerate(
                ("positive,positive", "neutral,negative", "positive,neutral", "neutral,neutral")
                + ("negative,positive", "positive,negative", "negative,negative")
            )
        )
    )

    def labels(cleaning):
        parts = [MVSASingle(tmp_path, split, cleaning=cleaning) for split in SPLITS]
        return parts, {
            id[-1]: part.classes[y] for part in parts for id, y in zip(part.ids, part.target)
        }

    parts, usual = labels("usual")
    assert usual == {
        "0": "positive",
        "1": "negative",
        "2": "positive",
        "3": "neutral",
        "6": "negative",
    }
    assert [len(part) for part in parts] == [30, 10, 10]
    assert [part.target.bincount().tolist() for part in parts] == [[12, 6, 12], [4, 2, 4]] + (
        [[4, 2, 4]]
    )
    assert len({id for part in parts for id in part.ids}) == 50
    parts, agreeing = labels("agreeing")
    assert agreeing == {"0": "positive", "3": "neutral", "6": "negative"}
    assert [len(part) for part in parts] == [18, 6, 6]
    with pytest.raises(ValueError, match="cleaning is 'none'; choose one of usual, agreeing"):
        MVSASingle(tmp_path, "train", cleaning="none")


def test_layouts_told_apart(trees, copy, tmp_path):
    root = copy("qmf")
    for layout in ("mla", "raw"):
        for path in trees[layout].glob("*.txt"):
            shutil.copy(path, root)
    assert MVSASingle(root, "test").layout == "qmf"
    assert MVSASingle(root, "test", layout="raw").layout == "raw"
    lists = trees["mla"]
    assert MVSASingle(root, "test", lists=lists).ids == MVSASingle(lists, "test").ids
    with pytest.raises(ValueError, match="layout is 'csv'; choose one of qmf, mla, raw"):
        MVSASingle(root, "test", layout="csv")
    with pytest.raises(FileNotFoundError, match="expected one of train.jsonl, my_train_mvsa.txt"):
        MVSASingle(root / "data", "test")
    with pytest.raises(FileNotFoundError, match="nowhere is missing"):
        MVSASingle(tmp_path / "nowhere", "test")
    with pytest.raises(FileNotFoundError, match="nowhere is missing"):
        MVSASingle(root, "test", lists=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="split is 'dev'"):
        MVSASingle(root, "dev")
    with pytest.raises(ValueError, match="length is 0"):
        MVSASingle(root, "test", length=0)
    (root / "dev.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match="dev.jsonl is missing"):
        MVSASingle(root, "val")


def changed(**keys):
    row = {"id": "999", "label": "positive", "text": "a", "img": "data/999.jpg"} | keys
    return json.dumps({key: value for key, value in row.items() if value is not None})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "expected one JSON object a line"),
        pytest.param("[" * 100_000, "expected one JSON object a line", id="deep"),
        ("[1]", "expected an object with the texts id, label, text, img"),
        (changed(text=None), "expected an object with the texts"),
        (changed(id=999), "expected an object with the texts"),
        (changed(img=["data/999.jpg"]), "expected an object with the texts"),
        (changed(label="joyful"), "'joyful'; expected one of the classes neutral, negative"),
        (changed(id="1/2"), "'1/2'; expected a plain file name"),
        (changed(id=""), "expected a plain file name"),
        (changed(img="../../data/999.jpg"), "without '..'"),
        (changed(img="/data/999.jpg"), "expected a path below the root"),
        (changed(img="data\\..\\999.jpg"), "expected a path below the root"),
        (changed(img="data/\x00.jpg"), "expected a path below the root"),
        (changed(id="13"), "expected each id once, and it stands in line"),
    ],
)
def test_bad_lines_of_qmf(line, words, copy):
    root = copy("qmf")
    count = len((root / "test.jsonl").read_text().splitlines())
    with open(root / "test.jsonl", "a", encoding="utf-8") as file:
        file.write("\n" + line + "\n")  # an empty line counts
    with pytest.raises(ValueError, match=rf"test.jsonl:{count + 2} is .*{words}"):
        MVSASingle(root, "test")
    assert len(MVSASingle(root, "val")) == 12


def test_half_characters_in_json(copy):
    root = copy("qmf")
    with open(root / "train.jsonl", "a", encoding="utf-8") as file:
        file.write(changed(text="good \ud83d day") + "\n")
    data = MVSASingle(root, "train")
    assert data.text(len(data) - 1) == "good ? day"
    data.tokenizer([data.text(len(data) - 1)])


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("my_test_mvsa.txt", "477.jpg", "expected '477.jpg positive'"),
        ("my_test_mvsa.txt", "477 positive", "expected '477.jpg positive'"),
        ("my_test_mvsa.txt", "477.jpg joyful", "expected one of the classes negative"),
        ("my_test_mvsa.txt", "../477.jpg positive", "expected a plain file name"),
        ("my_test_mvsa.txt", "..jpg positive", "expected a plain file name"),
        ("my_test_mvsa.txt", "13.jpg positive", "stands in line 1 already"),
        ("stat_mvsa.txt", "joyful", "expected one of the classes"),
    ],
)
def test_bad_lines_of_mla(name, line, words, copy):
    root = copy("mla")
    count = len((root / name).read_text().splitlines())
    with open(root / name, "a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=rf"{name}:{count + 1} is .*{words}"):
        MVSASingle(root, "test")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("7", "expected an id, a tab and two labels"),
        ("7 positive,positive", "expected an id, a tab and two labels"),
        ("77\tpositive", "expected an id, a tab and two labels"),
        ("77\tpositive,positive\tneutral,positive", "MVSA-Multiple|expected one of the classes"),
        ("77\tpositive,joyful", "'joyful'; expected one of the classes"),
        ("../77\tpositive,positive", "expected a plain file name"),
        ("1\tpositive,positive", "stands in line 2 already"),
        ("ID\ttext,image", "'text'; expected one of the classes"),
    ],
)
def test_bad_lines_of_raw_labels(line, words, copy):
    root = copy("raw")
    with open(root / "labelResultAll.txt", "a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=rf"labelResultAll.txt:62 is .*({words})"):
        MVSASingle(root, "test")


def test_nothing_is_left_after_cleaning(copy):
    root = copy("raw")
    (root / "labelResultAll.txt").write_text("ID\ttext,image\n1\tpositive,negative\n")
    with pytest.raises(ValueError, match="holds no pair that is left after cleaning"):
        MVSASingle(root, "train")


def test_a_pointer_is_no_tweet(copy):
    root = copy("raw")
    data = MVSASingle(root, "test")
    data.sources(0)[1].write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d")
    with pytest.raises(ValueError, match="is a pointer of git-lfs, not the text of a tweet"):
        data.text(0)


def test_a_broken_picture(copy):
    root = copy("qmf")
    data = MVSASingle(root, "test")
    data.sources(0)[0].write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(ValueError, match=r"data/13.jpg is no picture that can be read"):
        data.take(torch.tensor([0]))
    for mode in ("L", "CMYK"):
        Image.new(mode, (1, 1)).save(data.sources(0)[0])
        assert data.take(torch.tensor([0]))["visual"].shape == (1, 3, 256, 256)

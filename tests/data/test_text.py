import json
import socket

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmlib.data.text import HuggingFaceEncoder, HuggingFaceTokenizer, WordTokenizer, split_words
from mmlib.devices import seeded
from mmlib.encoders import TextEncoder

TEXTS = ["A good day, a good photo!", "RT @anna: what a day http://t.co/x1", "Bad day... #Bad"]


def test_words():
    assert split_words("RT @anna: It's #Great http://t.co/x1, non?") == (
        ["rt", "<name>", ":", "it's", "#great", "<link>", "non", "?"]
    )
    assert split_words("Ünïcode 字 😀") == ["ünïcode", "字", "😀"]
    assert split_words(" \n\t") == []


def test_vocabulary_is_of_frequent_words_in_a_fixed_order():
    tokenizer = WordTokenizer.from_texts(TEXTS, at_least=2)
    # a 3, day 3, "." 3, good 2; "bad" and "#bad" are two words of one occurrence each
    assert tokenizer.words == ("<padding>", "<unknown>", ".", "a", "day", "good")
    assert len(tokenizer) == 6
    assert WordTokenizer.from_texts(reversed(TEXTS)).words == tokenizer.words
    assert len(WordTokenizer.from_texts(TEXTS, at_least=1)) > len(tokenizer)
    assert len(WordTokenizer.from_texts([])) == 2


def test_tokens():
    tokenizer = WordTokenizer(["good", "day"], length=4)
    tokens = tokenizer(["Good DAY", "", "bad good day day good"])
    assert tokens.dtype == torch.int64
    assert tokens.tolist() == [[2, 3, 0, 0], [0, 0, 0, 0], [1, 2, 3, 3]]
    assert tokenizer([]).shape == (0, 4)


def test_tokens_fit_the_courses_encoder():
    tokenizer = WordTokenizer.from_texts(TEXTS, at_least=1)
    with seeded(0):
        encoder = TextEncoder(len(tokenizer), features=8)
    features = encoder(tokenizer([*TEXTS, "all words unknown"]))
    assert features.shape == (4, 8)
    longer = WordTokenizer(tokenizer.words[2:], length=99)
    torch.testing.assert_close(encoder(longer(TEXTS)), features[:3])
    with pytest.raises(ValueError, match="the vocabulary holds"):
        TextEncoder(len(tokenizer) - 1)(torch.tensor([[len(tokenizer) - 1]]))


def test_save_and_load(tmp_path):
    tokenizer = WordTokenizer(["字", "\ud800", '"'], length=3)  # half a character, as JSON may hold
    path = tmp_path / "new" / "words.json"
    tokenizer.save(path)
    loaded = WordTokenizer.load(path)
    assert loaded.words == tokenizer.words and loaded.length == 3
    assert [p.name for p in path.parent.iterdir()] == ["words.json"]
    with pytest.raises(FileNotFoundError):
        WordTokenizer.load(tmp_path / "no.json")
    broken = ["", "[]", "{", '{"words": ["a"]}', '{"words": [1], "length": 3}', "[" * 100_000]
    broken += ['{"words": ["a", "a"], "length": 3}', '{"words": ["a"], "length": 0}']
    for content in broken:
        path.write_text(content)
        with pytest.raises(ValueError, match="words.json is damaged or no vocabulary"):
            WordTokenizer.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="damaged"):
        WordTokenizer.load(path)


def test_bad_input():
    with pytest.raises(ValueError, match="'a' is in the vocabulary twice"):
        WordTokenizer(["a", "b", "a"])
    with pytest.raises(ValueError, match="length is 0"):
        WordTokenizer(["a"], length=0)
    with pytest.raises(ValueError, match="at_least is 0"):
        WordTokenizer.from_texts(["a"], at_least=0)
    with pytest.raises(ValueError, match="the one text 'a'; give a list"):
        WordTokenizer(["a"])("a")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with random weights, saved as Hugging Face saves one."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "day", "bad", "##s"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 32, "max_position_embeddings": 24, "vocab_size": len(words)}
    with seeded(0):
        transformers.BertModel(transformers.BertConfig(**sizes)).save_pretrained(folder)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.slow
def test_hugging_face_model(folder, no_network):
    tokenizer, encoder = HuggingFaceTokenizer(folder, length=8), HuggingFaceEncoder(folder).eval()
    tokens = tokenizer(["A good day", "bad days and more of them and more"])
    assert tokens.tolist()[0] == [2, 5, 6, 7, 3, 0, 0, 0]
    assert tokens.shape == (2, 8) and tokens.dtype == torch.int64 and tokens[1, -1] == 3
    assert len(tokenizer) == encoder.vocabulary == 10 and encoder.features == 16
    features = encoder(tokens)
    assert features.shape == (2, 16)
    longer = HuggingFaceTokenizer(folder, length=20)(["A good day"])
    torch.testing.assert_close(encoder(longer), features[:1])  # padding is masked
    torch.testing.assert_close(encoder(tokens[1:]), features[1:])
    assert not torch.allclose(features[0], features[1])
    assert encoder(torch.zeros(1, 4, dtype=torch.int64)).isfinite().all()
    features.sum().backward()
    assert encoder.model.embeddings.word_embeddings.weight.grad[6].any()
    again = HuggingFaceEncoder(folder).eval()
    assert torch.equal(again(tokens), features)


@pytest.mark.slow
def test_bad_hugging_face_input(folder, tmp_path, no_network):
    encoder = HuggingFaceEncoder(folder)
    with pytest.raises(ValueError, match="tokens go from 0 to 10; the vocabulary holds 0..9"):
        encoder(torch.tensor([[0, 10]]))
    with pytest.raises(ValueError, match="25 tokens long; the model takes 24"):
        encoder(torch.ones(1, 25, dtype=torch.int64))
    with pytest.raises(ValueError, match="give whole-number tokens"):
        encoder(torch.ones(1, 5))
    with pytest.raises(ValueError, match="the one text"):
        HuggingFaceTokenizer(folder)("a good day")
    for load in (HuggingFaceTokenizer, HuggingFaceEncoder):
        with pytest.raises(FileNotFoundError, match="nothing is downloaded"):
            load("bert-base-uncased")
        with pytest.raises(ValueError, match="holds no model that transformers can load"):
            load(tmp_path)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text((folder / "config.json").read_text())
    for content in (b"", b"garbage", (folder / "model.safetensors").read_bytes()[:-100]):
        (broken / "model.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="broken holds no model"):
            HuggingFaceEncoder(broken)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="lacks 1 of the model's weights, encoder.layer.1.output"):
        HuggingFaceEncoder(broken)


def test_without_the_extra(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mmlib\[text\]'"):
        HuggingFaceEncoder(tmp_path)

"""Text to whole numbers: the course's own words, or a Hugging Face model from a local folder."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mmlib.arguments import whole_number
from mmlib.data.reading.folders import file_of
from mmlib.encoders import check_tokens
from mmlib.files import write_text

PADDING, UNKNOWN = 0, 1
SPECIAL = ("<padding>", "<unknown>")

_LINK = re.compile(r"https?:\S*")
_NAME = re.compile(r"@\w+")
# a hashtag is a word of its own; so is each sign, of which "!" and "?" carry sentiment
_WORD = re.compile(r"<link>|<name>|#?\w+(?:'\w+)*|[^\w\s]")


def split_words(text: str) -> list[str]:
    """The words of a text in lower case; `"<link>"` for a web address, `"<name>"` for @somebody.

    Links and names are nearly all different, so that a vocabulary of them would learn by heart who
    posted.
    """
    return _WORD.findall(_NAME.sub("<name>", _LINK.sub("<link>", text.lower())))


class WordTokenizer:
    """Texts to word numbers for `mmlib.encoders.TextEncoder`: 0 is padding, 1 an unknown word.

    `words` is the vocabulary without these two; word `i` of it has the number `i + 2`. Calling it
    with N texts gives `(N, length)`, int64: cut after `length` words, filled up with padding.
    Raises `ValueError` for a word that comes twice and for a length below 1.
    """

    def __init__(self, words: Iterable[str], length: int = 64):
        self.words = (*SPECIAL, *words)
        self.length = whole_number("length", length, at_least=1)
        self._number = {word: number for number, word in enumerate(self.words)}
        if len(self._number) < len(self.words):
            twice = next(word for word, count in Counter(self.words).items() if count > 1)
            raise ValueError(f"{twice!r} is in the vocabulary twice; give each word once")

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], length: int = 64, at_least: int = 2
    ) -> "WordTokenizer":
        """A vocabulary of the words that come `at_least` so often in these (training) texts.

        The frequent words come first, those of one frequency in alphabetical order.
        """
        whole_number("at_least", at_least, at_least=1)
        counts = Counter(word for text in texts for word in split_words(text))
        kept = (word for word, count in counts.items() if count >= at_least)
        return cls(sorted(kept, key=lambda word: (-counts[word], word)), length)

    def __len__(self) -> int:
        """Size of the vocabulary, with padding and the unknown word: `TextEncoder(len(self))`."""
        return len(self.words)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        tokens = torch.full((len(texts), self.length), PADDING)
        for row, text in zip(tokens, _listed(texts), strict=True):
            words = split_words(text)[: self.length]
            numbers = [self._number.get(word, UNKNOWN) for word in words]
            row[: len(words)] = torch.tensor(numbers, dtype=torch.int64)
        return tokens

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON, beside first and then renamed."""
        content = {"length": self.length, "words": self.words[len(SPECIAL) :]}
        write_text(path, json.dumps(content, indent=0))

    @classmethod
    def load(cls, path: str | Path) -> "WordTokenizer":
        """The way back from `save`.

        Raises `FileNotFoundError`, or `ValueError` for a file that is no vocabulary.
        """
        try:
            content = json.loads(file_of(path, "make it with save").read_text(encoding="utf-8"))
            words, length = content["words"], content["length"]
            if not all(isinstance(word, str) for word in words):
                raise TypeError("a word is no text")
            return cls(words, length)
        except FileNotFoundError:
            raise
        except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
            raise ValueError(
                f"{path} is damaged or no vocabulary: {error}; make it again with save"
            ) from error


class HuggingFaceTokenizer:
    """The tokenizer of a Hugging Face model, from a local folder; needs `pip install mmlib[text]`.

    Calling it with N texts gives `(N, length)`, int64, with the model's own padding. Loads nothing
    from the network. Raises `FileNotFoundError` for a folder that is not there, `ValueError` for
    one that holds no tokenizer or one without padding, `ModuleNotFoundError` without the extra.
    """

    def __init__(self, folder: str | Path, length: int = 128):
        self.length = whole_number("length", length, at_least=1)
        self._tokenizer = _from_folder("AutoTokenizer", folder)
        if self._tokenizer.pad_token_id is None:
            raise ValueError(f"{folder} holds a tokenizer without padding; set its pad_token")
        self([""])  # the first call changes the tokenizer's settings, which two threads must not

    def __len__(self) -> int:
        return len(self._tokenizer)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return self._tokenizer(
            _listed(texts),
            padding="max_length",
            truncation=True,
            max_length=self.length,
            return_tensors="pt",
        )["input_ids"]


class HuggingFaceEncoder(nn.Module):
    """A Hugging Face text model from a local folder: tokens `(B, L)` to `(B, features)`.

    What it gives is the last hidden state at the first place (BERT's `[CLS]`); padding is masked.
    Tokens are those of `HuggingFaceTokenizer` on the same folder. Loads nothing from the network.
    Raises what `HuggingFaceTokenizer` raises, also for missing weights, and `ValueError` for tokens
    that are not whole numbers of shape `(batch, length)`, are outside the vocabulary (looked at on
    the CPU only) or too many for the model.
    """

    pretrained = True

    def __init__(self, folder: str | Path):
        super().__init__()
        self.model, loaded = _from_folder("AutoModel", folder, output_loading_info=True)
        # transformers only warns and leaves these random; the pooler is not used here
        missing = sorted(key for key in loaded["missing_keys"] if not key.startswith("pooler"))
        if missing:
            raise ValueError(
                f"{folder} lacks {len(missing)} of the model's weights, {missing[0]} the first; "
                "save the model again"
            )
        config = self.model.config
        self.features, self.vocabulary = config.hidden_size, config.vocab_size
        self.padding = config.pad_token_id
        if self.padding is None:
            raise ValueError(f"{folder}'s config.json has no pad_token_id; set it")

    def forward(self, tokens: Tensor) -> Tensor:
        check_tokens(tokens, self.vocabulary)
        most = getattr(self.model.config, "max_position_embeddings", None)
        if most is not None and tokens.shape[1] > most:
            raise ValueError(
                f"texts are {tokens.shape[1]} tokens long; the model takes {most} at most"
            )
        mask = (tokens != self.padding).long()
        # a text of padding alone would make the attention divide by zero
        mask = torch.cat([torch.ones_like(mask[:, :1]), mask[:, 1:]], dim=1)
        hidden = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state  # (B, L, d)
        return hidden[:, 0]  # (B, L, d) -> (B, d)


def _listed(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise ValueError(f"texts is the one text {texts[:40]!r}; give a list of texts")
    return list(texts)


def _from_folder(auto: str, folder: str | Path, **options):
    """`transformers.<auto>.from_pretrained` of a local folder, nothing else."""
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"a Hugging Face model needs {error.name}; install it with pip install 'mmlib[text]'"
        ) from error
    if not Path(folder).is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder; give one that save_pretrained wrote, nothing is downloaded"
        )
    try:
        load = getattr(transformers, auto).from_pretrained
        return load(str(folder), local_files_only=True, **options)
    except Exception as error:  # what a broken folder raises differs from reader to reader
        first = str(error).split("\n")[0]
        raise ValueError(f"{folder} holds no model that transformers can load: {first}") from error

"""Small data sets and encoders for the tests of the loop, the command and several processes."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn
from torch.utils.data import Dataset

from mmlib.devices import seeded
from mmlib.encoders import SmallCNN
from mmlib.methods import make_method

CLASSES = ("ant", "bee", "cat", "dog", "eel")
SIZES = {"train": 40, "val": 20, "test": 30}


class Lazy:
    """Pictures and sounds that are not in memory: a batch is made when it is asked for.

    The class shows as a bright row of `visual`, (1, 16, 16), and a loud column of `audio`; of every
    other sample `visual` is noise. With draws the picture is shifted and flipped, the sound louder.
    """

    modalities = ("audio", "visual")
    classes = CLASSES

    def __init__(self, root, split, seed=0, size=None, fail_at=None, pause=0):
        if not Path(root).is_dir():
            raise FileNotFoundError(f"{root} is missing; give the folder of the toy data")
        self.split, self.seed = split, seed
        self.fail_at, self.pause = fail_at, pause
        size = SIZES[split] if size is None else size
        self.key = 1000 * list(SIZES).index(split) + seed
        generator = torch.Generator().manual_seed(self.key)
        self.target = torch.randint(0, len(CLASSES), (size,), generator=generator)
        self.ids = tuple(f"clip{i}" for i in range(size))
        self.reads = 0

    def __len__(self):
        return len(self.target)

    def __getitem__(self, i):
        index = torch.tensor([i])
        inputs = self.finish(self.take(index))
        return {m: x[0] for m, x in inputs.items()}, self.target[i], i

    def take(self, index, draws=None):
        self.reads += 1
        time.sleep(self.pause)
        if self.fail_at is not None and self.reads > self.fail_at:
            raise ValueError("clip7.wav holds no samples; delete it")
        samples = [self._sample(i) for i in index.tolist()]
        return {m: torch.stack([sample[m] for sample in samples]) for m in self.modalities}

    def _sample(self, i):
        generator = torch.Generator().manual_seed(100_000 * (self.key + 1) + i)
        audio, visual = torch.randn((2, 1, 16, 16), generator=generator)
        audio[..., self.target[i]] += 1.5
        if i % 2:
            visual[:, self.target[i]] += 2
        return {"audio": audio.half(), "visual": (40 * visual + 128).clamp(0, 255).byte()}

    def finish(self, inputs, draws=None):
        audio, visual = inputs["audio"].float(), inputs["visual"].float() / 64 - 2
        if draws is not None:
            audio = audio * (0.5 + draws[:, 5]).view(-1, 1, 1, 1)
            visual = torch.where((draws[:, 4] < 0.5).view(-1, 1, 1, 1), visual.flip(3), visual)
            visual = visual + draws[:, :1, None, None] - 0.5
        return {"audio": audio, "visual": visual}


class Flat(nn.Module):
    """An encoder without batch statistics."""

    features = 16

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(256, 16), nn.ReLU())

    def forward(self, x):
        return self.layers(x)


def small_cnn():
    return SmallCNN(features=16)


def make(name, dataset, epochs=4, encoder=small_cnn, change=lambda module: module, **options):
    """A method on the toy data; `change` is done to each encoder."""
    with seeded(0):
        encoders = {m: change(encoder()) for m in dataset.modalities}
    return make_method(name, encoders, len(CLASSES), epochs, dataset=dataset, **options)


def whole(dataset):
    """The same data in memory, as evaluation sees it."""
    found = SimpleNamespace(target=dataset.target, modalities=dataset.modalities)
    found.inputs = dataset.finish(dataset.take(torch.arange(len(dataset))))
    size = len(dataset)
    return type("Whole", (SimpleNamespace,), {"__len__": lambda _: size})(**vars(found))


def weights(method):
    return torch.cat([x.flatten().float() for x in method.model.state_dict().values()])


class Pairs(Dataset):
    """Data in memory as PyTorch has it: an item is `(inputs, target)`."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        return {m: x[i] for m, x in self.data.inputs.items()}, int(self.data.target[i])


class Linear(nn.Module):
    """An encoder of `rows` without batch statistics, so that shares of a batch add up exactly."""

    features = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x)


def rows(size=40):
    """Data in memory: four random numbers for each of three modalities, a random class."""
    generator = torch.Generator().manual_seed(0)
    inputs = {m: torch.randn(size, 4, generator=generator) for m in ("audio", "visual", "rear")}
    target = torch.randint(0, 5, (size,), generator=generator)
    return type("Rows", (SimpleNamespace,), {"__len__": lambda _: size})(
        inputs=inputs, target=target
    )


def over_rows(name="joint", epochs=4, modalities=("audio", "visual", "rear")):
    """A method on `rows`."""
    if name in ("gap", "gap-late"):  # between two
        modalities = modalities[:2]
    with seeded(0):
        encoders = {m: Linear() for m in modalities}
    return make_method(name, encoders, 5, epochs, dataset=rows())


def stop_after(epochs):
    """For `after_epoch`: end there a run that was planned for more."""
    return lambda rows: len(rows) == epochs


def reading_threads():
    """The threads of `mmlib.batches.ahead` that live."""
    return [t for t in threading.enumerate() if t.name.startswith("read ahead")]

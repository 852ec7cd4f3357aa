"""How weights start: their distribution under each preset, and that nothing else starts anew."""

import math
import types

import pytest
import torch
from torch import nn

from mmlib.commands.building import build
from mmlib.commands.presets import PRESETS
from mmlib.devices import seeded
from mmlib.encoders import ResNet18, SmallCNN, TextEncoder
from mmlib.initialisation import initialise
from mmlib.methods import METHODS, make_method
from toys import rows

CLASSES = {"cremad": 6, "ave": 28, "kinetics-sounds": 31, "ucf101": 101, "modelnet40": 40}


class Clips:
    """What a method is built from: the shapes of a sample, the classes, a length."""

    take = finish = None  # never asked for
    target = torch.zeros(5, dtype=torch.int64)

    def __init__(self, classes):
        self.classes = range(classes)

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return {"audio": torch.zeros(1, 64, 64), "visual": torch.zeros(3, 1, 64, 64)}, 0, i


def preset_method(key, seed=0):
    """The method that `train --preset paper` builds."""
    found = PRESETS[key]
    settings = {"method": key[1], "seed": seed, "epochs": found.epochs, "precision": "float32"}
    settings |= {"text_model": None, "pretrained": False, "options": found.options}
    arguments = types.SimpleNamespace(compile=False)
    return build(arguments, settings, Clips(CLASSES[key[0]]), torch.device("cpu"))


def layers(model, kind):
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, kind)}


def is_normal(weight, deviation, mean=0.0):
    """Whether so many numbers look drawn from that normal distribution (5 standard errors)."""
    w, n = weight.detach().double().flatten() - mean, weight.numel()
    inside = (w.abs() < deviation).double().mean()  # 0.6827 of a normal distribution
    return (
        abs(w.mean()) < 5 * deviation / math.sqrt(n)
        and abs(w.std() / deviation - 1) < 5 / math.sqrt(2 * n)
        and abs(inside - 0.6827) < 5 * 0.466 / math.sqrt(n)
    )


def is_xavier(layer):
    fans = layer.in_features + layer.out_features
    return is_normal(layer.weight, math.sqrt(2 / fans)) and not layer.bias.any()


def is_pytorchs(layer):
    """Uniform within one over the root of the inputs, weights and bias."""
    bound = 1 / math.sqrt(layer.in_features)
    flat = abs(layer.weight.std() / (bound / math.sqrt(3)) - 1) < 5 / math.sqrt(
        layer.weight.numel()
    )
    return bool(flat and layer.weight.abs().max() <= bound and layer.bias.any())


@pytest.mark.slow
@pytest.mark.parametrize("key", PRESETS, ids=" ".join)
def test_every_layer_starts_as_in_the_released_code(key):
    """OGM-GE, AUG: all by `weight_init`. DI-MML, SMV: PyTorch's heads, scattered batch norm; only
    DI-MML's fusion head of stage 2 by `weight_init`."""
    model = preset_method(key).model
    ogm = PRESETS[key].source.startswith(("OGM-GE", "AUG"))
    heads = layers(model, nn.Linear)
    assert heads
    for name, layer in heads.items():
        assert (is_xavier if ogm or name == "concat" else is_pytorchs)(layer), name
    convolutions = layers(model, nn.Conv2d)
    assert len(convolutions) == 2 * 20  # of two ResNet-18
    for name, layer in convolutions.items():
        fan_out = layer.out_channels * math.prod(layer.kernel_size)
        assert is_normal(layer.weight, math.sqrt(2 / fan_out)), name
    for name, layer in layers(model, nn.BatchNorm2d).items():
        assert not layer.bias.any(), name
        if ogm:
            assert (layer.weight == 1).all(), name
        else:
            assert is_normal(layer.weight, 0.02, mean=1), name


@pytest.mark.slow
@pytest.mark.parametrize("key", [("cremad", "ogm-ge"), ("cremad", "detached")], ids=" ".join)
def test_the_start_is_that_of_the_seed(key):
    starts = []
    for seed in (0, 0, 1):
        torch.rand(seed + 1)  # the global generator is somewhere else each time
        state = preset_method(key, seed).model.state_dict()
        starts.append(torch.cat([x.flatten().float() for x in state.values()]))
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])


def encoders(text=False):
    with seeded(0):
        second = TextEncoder(50) if text else SmallCNN()
        return {"audio": SmallCNN(), "text" if text else "visual": second}


def test_without_it_every_method_starts_as_before():
    """Encoders as they are given, heads as PyTorch draws them from the seed."""
    for name, (fusion, _, _) in METHODS.items():
        data = rows(5)
        method = make_method(name, encoders(), 10, 4, seed=3, dataset=data)
        with seeded(3):
            wanted = fusion(encoders(), 10).state_dict()
        found = method.model.state_dict()
        assert all(torch.equal(found[key], x) for key, x in wanted.items()), name
        explicit = make_method(name, encoders(), 10, 4, 3, dataset=data, initialisation=None)
        assert all(torch.equal(x, found[k]) for k, x in explicit.model.state_dict().items())


def test_linear_layers_within_an_encoder_count():
    method = make_method("boosting", encoders(text=True), 10, 4, initialisation="xavier")
    assert len(layers(method.model, nn.Linear)) == 4
    assert all(is_xavier(layer) for layer in layers(method.model, nn.Linear).values())
    words = method.model.encoders["text"].words.weight
    assert torch.equal(words, encoders(text=True)["text"].words.weight)  # an embedding is none


def test_a_part_alone_and_what_is_pretrained():
    before = {key: x.clone() for key, x in plain().state_dict().items()}
    for how, changed in (
        ({"head": "xavier"}, {"head"}),
        ({"encoders": "scattered"}, {"encoders"}),
        ("xavier", {"head", "encoders"}),
    ):
        model = plain()
        initialise(model, how)
        after = model.state_dict()
        moved = {key.split(".")[0] for key, x in after.items() if not torch.equal(x, before[key])}
        assert moved == changed
    model = plain()
    model.encoders["audio"].pretrained = True
    initialise(model, "scattered")
    moved = {key for key, x in model.state_dict().items() if not torch.equal(x, before[key])}
    assert moved and all(key.startswith("encoders.visual.") for key in moved)


def plain():
    return make_method("joint", encoders(), 10, 4).model


def test_a_pretrained_resnet_says_so(monkeypatch):
    import torchvision.models

    make = torchvision.models.resnet18
    monkeypatch.setattr(torchvision.models, "resnet18", lambda weights: make())  # no download
    for weights, kept in (("IMAGENET1K_V1", True), (None, False)):
        encoder = ResNet18(1, weights)
        before = encoder.trunk.conv1.weight.clone()
        initialise(encoder, "xavier")
        assert torch.equal(encoder.trunk.conv1.weight, before) == kept


def test_bad_words():
    for how, words in (
        ("xavjer", "initialisation is 'xavjer'; choose one of xavier, scattered"),
        ({"haed": "xavier"}, "initialisation's part is 'haed'; choose one of encoders, head"),
    ):
        with pytest.raises(ValueError, match=words):
            make_method("joint", encoders(), 10, 4, initialisation=how)

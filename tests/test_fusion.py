"""Fusion: the identities of linear fusion, masks, a modality that is missing."""

import pytest
import torch

from mmlib.devices import seeded
from mmlib.encoders import SmallCNN, TextEncoder
from mmlib.fusion import BoostedFusion, BottleneckFusion, ConcatFusion, LateFusion
from mmlib.methods.detached_fusion import DetachedFusion


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    shapes = {"audio": (6, 1, 40, 51), "visual": (6, 1, 32, 32), "text": (6, 9)}
    inputs = {m: torch.randn(shape, generator=generator) for m, shape in shapes.items()}
    inputs["text"] = torch.randint(0, 50, (6, 9), generator=generator)
    return inputs


def three_encoders():
    with seeded(0):
        return {"audio": SmallCNN(), "visual": SmallCNN(features=32), "text": TextEncoder(50, 16)}


@pytest.mark.parametrize("fusion", [ConcatFusion, LateFusion])
def test_missing_modality(fusion, inputs):
    model = fusion(three_encoders(), 5)
    del inputs["visual"]
    with pytest.raises(KeyError, match="inputs lack 'visual'; given: 'audio', 'text'"):
        model(inputs)


def test_concat_is_one_layer_on_the_concatenation(inputs):
    model = ConcatFusion(three_encoders(), 5).eval()
    features = model.features(inputs)
    logits = model(inputs)
    torch.testing.assert_close(logits["fused"], model.head(torch.cat(list(features.values()), 1)))
    alone = model.classify(features | {m: 0 * features[m] for m in ("visual", "text")})
    torch.testing.assert_close(logits["audio"], alone["fused"])


def test_late_fusion_adds_logits(inputs):
    logits = LateFusion(three_encoders(), 5).eval()(inputs)
    torch.testing.assert_close(logits["fused"], logits["audio"] + logits["visual"] + logits["text"])


@pytest.mark.parametrize("fusion", [ConcatFusion, LateFusion])
def test_masked_sample_is_the_other_modality_alone_and_trains_no_encoder(fusion, inputs):
    model = fusion({m: e for m, e in three_encoders().items() if m != "text"}, 5).eval()
    everything = torch.ones(6, dtype=torch.bool)
    keep = {"audio": everything, "visual": torch.tensor([True, True, False, True, False, True])}
    full, masked = model(inputs), model(inputs, keep)
    torch.testing.assert_close(masked["fused"][keep["visual"]], full["fused"][keep["visual"]])
    torch.testing.assert_close(masked["fused"][~keep["visual"]], full["audio"][~keep["visual"]])
    model(inputs, {"audio": everything, "visual": ~everything})["fused"].sum().backward()
    assert all(p.grad is None for p in model.encoders["visual"].parameters())  # not even encoded
    assert model.encoders["audio"].layers[0].weight.grad.abs().sum() > 0


FUSIONS = (ConcatFusion, LateFusion, BoostedFusion, BottleneckFusion, DetachedFusion)
NAMES = ("fused", "concat", "my audio", "au.dio", "", "keys", "type", "training", 3)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_a_modality_that_cannot_have_that_name(fusion, name):
    with pytest.raises(ValueError, match=f"a modality is named {name!r}; give a text without"):
        fusion({"audio": SmallCNN(), name: SmallCNN()}, 5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_encoder_that_does_not_tell_its_width(fusion):
    with pytest.raises(ValueError, match="encoder of 'audio', Linear, does not tell its width"):
        fusion({"audio": torch.nn.Linear(3, 4)}, 5)
    with pytest.raises(ValueError, match="the encoder of 'audio' is function; give an nn.Module"):
        fusion({"audio": three_encoders}, 5)
    with pytest.raises(ValueError, match="give a dict of one module a modality"):
        fusion({}, 5)
    with pytest.raises(ValueError, match="classes is 2.5; give a whole number"):
        fusion({"audio": SmallCNN()}, 2.5)


def test_a_first_encoder_of_width_one_still_boosts():
    """Half of its width is none, which gave the same logits for every sample."""

    class Narrow(torch.nn.Linear):
        features = 1

    with seeded(3):
        model = BoostedFusion({"audio": Narrow(4, 1), "visual": Narrow(4, 1)}, 3)
        logits = model({m: torch.randn(8, 4) for m in ("audio", "visual")})["fused"]
    assert model.second.in_features == 1 and logits.std(0).min() > 0

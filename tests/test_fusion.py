"""Fusion: the identities of linear fusion, masks, a modality that is missing."""

import pytest
import torch

from mmlib.devices import seeded
from mmlib.encoders import SmallCNN, TextEncoder
from mmlib.fusion import ConcatFusion, LateFusion


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

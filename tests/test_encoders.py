"""Encoders and fusion: shapes, the identities of linear fusion, masks, bad input."""

import pytest
import torch

from mmlib.devices import seeded, use_precision
from mmlib.encoders import ResNet18, SmallCNN, TextEncoder
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


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_encoder_shapes(channels):
    images = torch.randn(2, channels, 64, 64)
    assert SmallCNN(channels)(images).shape == (2, 64)
    assert ResNet18(channels)(images).shape == (2, 512)


def test_resnet_averages_frames():
    encoder = ResNet18(3).eval()
    clip = torch.randn(2, 3, 4, 64, 64)
    with torch.no_grad():
        frames = torch.stack([encoder(clip[:, :, t]) for t in range(4)])
        torch.testing.assert_close(encoder(clip), frames.mean(0), rtol=1e-4, atol=1e-4)


def test_text_encoder_ignores_padding():
    encoder = TextEncoder(10)
    short, padded = torch.tensor([[3, 4]]), torch.tensor([[3, 4, 0, 0]])
    torch.testing.assert_close(encoder(short), encoder(padded))


def test_wrong_channels_and_dimensions():
    for encoder in (SmallCNN(1), ResNet18(1)):
        with pytest.raises(ValueError, match=r"was given \(2, 3, 32, 32\); it takes \(batch, 1,"):
            encoder(torch.zeros(2, 3, 32, 32))
        with pytest.raises(ValueError, match="it takes"):
            encoder(torch.zeros(2, 32, 32))
    with pytest.raises(ValueError, match="it takes"):
        SmallCNN(3)(torch.zeros(2, 3, 4, 32, 32))
    with pytest.raises(ValueError, match=r"holds 0\.\.9"):
        TextEncoder(10)(torch.tensor([[10]]))
    with pytest.raises(ValueError, match="whole-number tokens"):
        TextEncoder(10)(torch.zeros(2, 3))


def test_text_off_the_cpu_is_not_looked_at():
    """On a GPU every look at a value makes the CPU wait; what is on "meta" has none to look at."""
    encoder = TextEncoder(10).to("meta")
    assert encoder(torch.zeros(2, 3, dtype=torch.int64, device="meta")).shape == (2, 64)
    with pytest.raises(ValueError, match="whole-number tokens"):
        encoder(torch.zeros(2, 3, device="meta"))


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


def test_bfloat16_is_close_and_comes_back_as_float32(inputs):
    with seeded(0):
        encoder = SmallCNN().eval()
    exact = encoder(inputs["audio"])
    mixed = use_precision(encoder, "bfloat16")(inputs["audio"])
    assert mixed.dtype == torch.float32
    assert 0 < (mixed - exact).abs().max() < 0.1
    with pytest.raises(ValueError, match="precision is 'half'"):
        use_precision(encoder, "half")

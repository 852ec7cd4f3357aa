"""Encoders: shapes, frames, padding; bad input."""

import pytest
import torch

from mmlib.encoders import ResNet18, SmallCNN, TextEncoder


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

"""Encoders: one modality's input to a feature vector. Each tells its width as `features`."""

import torch
from torch import Tensor, nn


class SmallCNN(nn.Module):
    """Three convolutions and a global average: `(B, channels, H, W)` to `(B, features)`.

    Made to train in seconds on a CPU: strides and pooling come early, memory is laid out channels
    last. Features are not negative. Raises `ValueError` for an input of another number of
    dimensions or channels.
    """

    def __init__(self, channels: int = 1, features: int = 64):
        super().__init__()
        self.channels, self.features = channels, features
        first, second = features // 4, features // 2
        self.layers = nn.Sequential(
            nn.Conv2d(channels, first, 5, stride=2, padding=2, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 3, padding=1, bias=False),
            nn.BatchNorm2d(second),
            nn.ReLU(inplace=True),
            nn.Conv2d(second, features, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(features),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        _check_channels(self, x)
        return self.layers(x.contiguous(memory_format=torch.channels_last))


class ResNet18(nn.Module):
    """torchvision's ResNet-18 with a stem for any number of channels, without its last layer.

    `(B, channels, H, W)`, or `(B, channels, T, H, W)` for T frames that share the weights and are
    averaged, to `(B, 512)`. `weights` is a torchvision name such as `"IMAGENET1K_V1"` (downloads)
    or `None`; with other than 3 channels the pretrained stem is the mean over RGB, rescaled.
    Raises `ValueError` for an input of another number of dimensions or channels.
    """

    features = 512

    def __init__(self, channels: int = 3, weights: str | None = None):
        from torchvision.models import resnet18  # here: it takes seconds, most lessons need none

        super().__init__()
        self.channels, self.pretrained = channels, weights is not None
        self.trunk = resnet18(weights=weights)
        self.trunk.fc = nn.Identity()
        if channels != 3:
            rgb = self.trunk.conv1
            self.trunk.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
            if weights is None:
                nn.init.kaiming_normal_(self.trunk.conv1.weight, mode="fan_out")
            else:
                mean = rgb.weight.detach().mean(1, keepdim=True)  # (64, 3, 7, 7) -> (64, 1, 7, 7)
                self.trunk.conv1.weight.data = mean.repeat(1, channels, 1, 1) * 3 / channels

    def forward(self, x: Tensor) -> Tensor:
        _check_channels(self, x, frames=True)
        if x.dim() == 4:
            return self.trunk(x)
        frames = x.shape[2]
        folded = x.transpose(1, 2).flatten(0, 1)  # (B, C, T, H, W) -> (B * T, C, H, W)
        return self.trunk(folded).unflatten(0, (-1, frames)).mean(1)  # (B * T, 512) -> (B, 512)


class TextEncoder(nn.Module):
    """Mean of word vectors, then one hidden layer: token numbers `(B, L)` to `(B, features)`.

    Token 0 is padding and counts for nothing; a text of padding alone gives the layer of a zero
    vector. Raises `ValueError` for tokens that are not whole numbers in 0..vocabulary - 1 (their
    range is looked at on the CPU only).
    """

    def __init__(self, vocabulary: int, features: int = 64):
        super().__init__()
        self.vocabulary, self.features = vocabulary, features
        self.words = nn.EmbeddingBag(vocabulary, features, mode="mean", padding_idx=0)
        self.layer = nn.Sequential(nn.Linear(features, features), nn.ReLU())

    def forward(self, tokens: Tensor) -> Tensor:
        check_tokens(tokens, self.vocabulary)
        return self.layer(self.words(tokens))


def check_tokens(tokens: Tensor, vocabulary: int) -> None:
    """Raises `ValueError` unless tokens are whole numbers, `(batch, length)`, below `vocabulary`.

    Their range is only looked at on the CPU: a look would make it wait for a GPU at every step.
    There CUDA's embedding stops the program.
    """
    if tokens.dim() != 2 or tokens.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"text is {tokens.dtype} of shape {tuple(tokens.shape)}; "
            "give whole-number tokens of shape (batch, length)"
        )
    if tokens.device.type == "cpu" and tokens.numel():
        low, high = int(tokens.min()), int(tokens.max())
        if low < 0 or high >= vocabulary:
            raise ValueError(
                f"tokens go from {low} to {high}; the vocabulary holds 0..{vocabulary - 1}"
            )


def _check_channels(encoder: nn.Module, x: Tensor, frames: bool = False) -> None:
    if x.dim() == 4 + (frames and x.dim() == 5) and x.shape[1] == encoder.channels:
        return
    shapes = f"(batch, {encoder.channels}, height, width)"
    if frames:
        shapes += f" or (batch, {encoder.channels}, frames, height, width)"
    raise ValueError(f"{type(encoder).__name__} was given {tuple(x.shape)}; it takes {shapes}")

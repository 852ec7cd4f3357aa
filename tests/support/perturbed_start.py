"""Run by a kernel before its first cell: the weights of every first layer differ by a millionth.

That is as much as another processor's rounding does in a few steps. `PERTURBED` is the seed.
"""

import os

import torch
from torch.nn.modules.conv import _ConvNd as Convolution

INPUT_CHANNELS = 3  # at most: sound has 1, a picture 1 or 3
_as_published = Convolution.reset_parameters


def _perturbed(self):
    _as_published(self)
    if self.in_channels <= INPUT_CHANNELS:  # two layers of one shape stay equal where they were
        generator = torch.Generator().manual_seed(int(os.environ["PERTURBED"]))
        with torch.no_grad():
            self.weight.mul_(1 + 1e-6 * torch.randn(self.weight.shape, generator=generator))


if os.environ.get("PERTURBED"):
    Convolution.reset_parameters = _perturbed

"""Controls of the classical methods."""

import torch
from torch import nn

from mmlib.arguments import number
from mmlib.methods.joint import Joint
from mmlib.training import Plan


class ModalityDropout(Joint):
    """Joint training in which some samples have one modality only, drawn anew every epoch.

    With probability `rate` a sample loses one of its modalities, each as likely; a lost modality is
    masked (Neverova et al., "ModDrop", TPAMI 2016). Beside valuation it rules out that it matters
    whom the masks hit. Needs the training data's length. Raises `ValueError` for a rate outside
    [0, 1] or fewer than two modalities.
    """

    needs_dataset = True
    takes = (2, None)

    def __init__(self, model: nn.Module, epochs: int, dataset, rate: float = 0.3, **options):
        super().__init__(model, epochs, **options)
        self.dataset, self.rate = dataset, number("rate", rate, at_least=0, at_most=1)

    def plan(self, epoch: int) -> Plan:
        """Every sample once; who loses what comes from the method's generator."""
        super().plan(epoch)
        draw = {"generator": self.generator, "device": self.generator.device}
        samples = len(self.dataset)
        hit = torch.rand(samples, **draw) < self.rate
        lost = torch.randint(len(self.model.encoders), (samples,), **draw)
        keep = {m: (~hit | (lost != i)).cpu() for i, m in enumerate(self.model.encoders)}
        return Plan(torch.arange(samples), keep)

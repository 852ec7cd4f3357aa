"""Controls of the classical methods."""

import torch
from torch import nn

from mmlib.arguments import number, whole_number
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

    def __init__(self, model: nn.Module, epochs: int, dataset, rate: float = 0.3, **options):
        super().__init__(model, epochs, **options)
        whole_number("the number of modalities", len(model.encoders), at_least=2)
        number("rate", rate, at_least=0, at_most=1)
        self.samples, self.rate = len(dataset), rate

    def plan(self, epoch: int) -> Plan:
        """Every sample once; who loses what comes from the method's generator."""
        super().plan(epoch)
        draw = {"generator": self.generator, "device": self.generator.device}
        hit = torch.rand(self.samples, **draw) < self.rate
        lost = torch.randint(len(self.model.encoders), (self.samples,), **draw)
        keep = {m: (~hit | (lost != i)).cpu() for i, m in enumerate(self.model.encoders)}
        return Plan(torch.arange(self.samples), keep)

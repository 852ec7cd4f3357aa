"""Controls: each is a method with one thing changed, and says what that rules out.

So are other readings of a paper. `CONTROLS` is in the form of `METHODS`, which names the first few:
name -> model, class, settings.
"""

from mmlib.fusion import BoostedFusion, BottleneckFusion, ConcatFusion, LateFusion
from mmlib.methods.controls import baselines, boosting, cal, detached, gap, valuation
from mmlib.methods.detached_fusion import DetachedFusion

__all__ = ["CONTROLS", "baselines", "boosting", "cal", "detached", "gap", "valuation"]

_ALONE = {"every": None}  # boosting that adds no classifier

CONTROLS = {
    "valuation-inputs": (ConcatFusion, valuation.InputsMasked, {}),
    "valuation-mean": (ConcatFusion, valuation.MeanFiller, {}),
    "valuation-binary": (ConcatFusion, valuation.BinaryPayoff, {}),
    "boosting-heavier": (BoostedFusion, boosting.HeavierLoss, _ALONE),
    "boosting-fixed": (BoostedFusion, boosting.FixedNumber, _ALONE),
    "boosting-residual": (BoostedFusion, boosting.ResidualOnly, {}),
    "boosting-all": (BoostedFusion, boosting.AllOnly, {}),
    "boosting-previous": (BoostedFusion, boosting.PreviousOnly, {}),
    "detached-permuted": (DetachedFusion, detached.PermutedLabels, {}),
    "detached-random": (DetachedFusion, detached.RandomDimensions, {}),
    "detached-normalised": (DetachedFusion, detached.Normalised, {}),
    "gap-one-sided": (ConcatFusion, gap.OneSided, {}),
    "gap-v1": (ConcatFusion, gap.VersionOne, {}),
    "gap-unweighted": (ConcatFusion, gap.Unweighted, {}),
    "gap-hard": (ConcatFusion, gap.HardPosterior, {}),
    "gap-permuted": (ConcatFusion, gap.PermutedPosterior, {}),
    "gap-late-permuted": (LateFusion, gap.PermutedPosterior, {}),
    "gap-purified": (ConcatFusion, gap.Purified, {}),
    "gap-purified-random": (ConcatFusion, gap.PurifiedAtRandom, {}),
    "cal-even-acceleration": (BottleneckFusion, cal.EvenAcceleration, {}),
    "cal-inverse-acceleration": (BottleneckFusion, cal.InverseAcceleration, {}),
    "cal-even-compression": (BottleneckFusion, cal.EvenCompression, {}),
    "cal-even": (BottleneckFusion, cal.Even, {}),
    "cal-swapped": (BottleneckFusion, cal.Swapped, {}),
    "cal-epoch": (BottleneckFusion, cal.ByEpoch, {}),
    "cal-sample": (BottleneckFusion, cal.BySample, {}),
    "cal-channels": (BottleneckFusion, cal.ByChannels, {}),
    "cal-loss": (BottleneckFusion, cal.ByLoss, {}),
}

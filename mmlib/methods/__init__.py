"""The finished methods, one file each; `make_method` builds one by the name of the command line."""

import torch
from torch import nn

from mmlib.fusion import ConcatFusion, LateFusion
from mmlib.methods.baselines import OGMGE, Ensemble, Joint
from mmlib.training import Method, seeded

METHODS = {
    "joint": (ConcatFusion, Joint, {}),
    "joint-unimodal": (ConcatFusion, Joint, {"unimodal_weight": 3.0}),
    "ensemble": (LateFusion, Ensemble, {}),
    "ogm-ge": (ConcatFusion, OGMGE, {}),
    # controls
    "joint-late": (LateFusion, Joint, {}),
    "ogm-ge-noise": (ConcatFusion, OGMGE, {"alpha": 0.0}),
}


def make_method(
    name: str,
    encoders: dict[str, nn.Module],
    classes: int,
    epochs: int,
    seed: int = 0,
    device: torch.device | str = "cpu",
    **options,
) -> Method:
    """The method of that name over these encoders, on `device`.

    Heads, and what the method itself draws at random, come from `seed`. `options` go to the
    method's class (`lr`, `alpha`...). Raises `ValueError` for an unknown name.
    """
    if name not in METHODS:
        raise ValueError(f"method is {name!r}; choose one of {', '.join(METHODS)}")
    fusion, method, settings = METHODS[name]
    with seeded(seed):
        model = fusion(encoders, classes).to(device)
    return method(model, epochs, seed=seed, **settings | options)

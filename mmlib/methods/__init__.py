"""The finished methods, and `make_method`, which builds one by the name of the command line.

`joint` is what all others change; each has its file, beside it what would make that too long to
read (`cal_formulas`, `gap_mixture`, ...), and in `controls` what it is held against.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mmlib.arguments import checked_seed, one_of
from mmlib.devices import pick_device, seeded
from mmlib.fusion import BottleneckFusion, ConcatFusion, LateFusion
from mmlib.initialisation import initialise
from mmlib.methods import controls
from mmlib.methods.baselines import OGMGE, Ensemble, Joint
from mmlib.methods.boosting import BoostedFusion, Boosting
from mmlib.methods.cal import CAL
from mmlib.methods.detached import Detached, DetachedFusion
from mmlib.methods.gap import Gap
from mmlib.methods.valuation import ModalityValuation, Valuation
from mmlib.preconditions import check_data
from mmlib.training import Method

# name -> model, class, settings
METHODS = {
    "joint": (ConcatFusion, Joint, {}),
    "joint-unimodal": (ConcatFusion, Joint, {"unimodal_weight": 3.0}),
    "ensemble": (LateFusion, Ensemble, {}),
    "ogm-ge": (ConcatFusion, OGMGE, {}),
    "valuation": (ConcatFusion, Valuation, {}),
    "valuation-modality": (ConcatFusion, ModalityValuation, {}),
    "boosting": (BoostedFusion, Boosting, {}),
    "detached": (DetachedFusion, Detached, {}),
    "gap": (ConcatFusion, Gap, {}),
    "cal": (BottleneckFusion, CAL, {}),
    # controls
    "joint-late": (LateFusion, Joint, {}),
    "gap-late": (LateFusion, Gap, {}),
    "modality-dropout": (ConcatFusion, controls.baselines.ModalityDropout, {}),
    "ogm-ge-noise": (ConcatFusion, OGMGE, {"alpha": 0.0}),
    "valuation-random-samples": (ConcatFusion, controls.valuation.RandomSamples, {}),
    "valuation-random": (ConcatFusion, controls.valuation.RandomCopies, {}),
    "boosting-base": (BoostedFusion, Boosting, {"every": None}),
    "boosting-frozen": (BoostedFusion, controls.boosting.Frozen, {}),
}
NAMED = METHODS | controls.CONTROLS  # what the command line knows, too


def make_method(
    name: str,
    encoders: dict[str, nn.Module],
    classes: int,
    epochs: int,
    seed: int = 0,
    device: torch.device | str = "cpu",
    dataset=None,
    initialisation: str | Mapping[str, str] | None = None,
    **options,
) -> Method:
    """The method or control of that name over these encoders, on `device`.

    Heads, and what the method itself draws at random, come from `seed`; the encoders' weights are
    there already (`seeded` seeds them), and these very modules are trained: make new ones for the
    next method. `dataset` is the training data: methods that plan by its
    samples (`valuation`, `detached`, `gap`, `modality-dropout`) need it, the others ignore it.
    `initialisation` starts encoders and heads anew, also from `seed`: see `initialise`. `options`
    go to the method's class (`lr`, `alpha`...). What was given is kept as the method's `identity`,
    by which a checkpoint knows its run. `gap` and `cal` are our reading of their papers' abstracts.
    Raises `ValueError` for an unknown name, a data set that is needed and not given, a device that
    is not there, and what the class refuses.
    """
    device, seed = pick_device(device), checked_seed(seed)
    fusion, method, settings = NAMED[one_of("method", name, list(NAMED))]
    if getattr(method, "needs_dataset", False):
        if dataset is None:
            raise ValueError(f"{name} plans by the training samples; give make_method a dataset")
        check_data(dataset)
        options["dataset"] = dataset
    with seeded(seed):
        model = fusion(encoders, classes)
        if initialisation is not None:
            initialise(model, initialisation)
    model.to(device)
    made = method(model, epochs, seed=seed, **settings | options)
    made.identity = {"method": name, "classes": classes, "epochs": epochs, "seed": seed}
    made.identity |= {"initialisation": initialisation} | defaults(method) | settings | options
    made.identity.pop("dataset", None)  # `fit` knows it
    return made


def defaults(method: type) -> dict[str, Any]:
    """The options of a method's class that need not be given, each with its value."""
    found = {}
    for kind in reversed(method.__mro__[:-1]):
        parameters = inspect.signature(kind).parameters.values()
        found |= {p.name: p.default for p in parameters if p.default is not p.empty}
    return {name: value for name, value in found.items() if name != "seed"}

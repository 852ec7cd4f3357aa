"""Hyper-parameters from the papers and their released code, by data set and method.

They are what was published, not what was tuned here. A preset stands only where the source gives
the values: the papers of `gap` and `cal` were open to us as abstracts, so they have none.

Frames are drawn from the whole clip on CREMA-D and AVE, and by `boosting` on Kinetics-Sounds, where
the loaders of OGM-GE and AUG take the first ones by a mistake (`frames_from="first"`), and those of
DI-MML the same ones in every epoch.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preset:
    """Arguments of a run: of `fit`, of the method (`options`), of the data set (`data`)."""

    source: str
    epochs: int
    batch_size: int
    options: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)


# OGM-GE, CVPR 2022, paper, README and code: SGD 0.9, rate 1e-3, weight decay 1e-4, StepLR(70, 0.1),
# active in epochs 0 to 50; alpha is given for CREMA-D and VGGSound only
_OGM = {"lr": 1e-3, "weight_decay": 1e-4, "decay_at": (70,)}
_OGM_DATA = {"audio": "ogm", "frames": 1, "crops": "released"}

# AUG, NeurIPS 2025, paper and code: SGD 0.9, rate 1e-2, weight decay 1e-4, StepLR(70, 0.1) stepped
# before the epoch, so that it falls in epochs 69 and 139; sound weighs 0.4 of the fused logits
_AUG = {"lr": 1e-2, "weight_decay": 1e-4, "decay_at": (69, 139), "dead_zone": 0.01}
_AUG |= {"fusion_weights": {"audio": 0.4, "visual": 0.6}}

# Sample-level valuation, CVPR 2024, code: Adam, rate 5e-5, weight decay 1e-4, StepLR(30, 0.1)
_SMV = {"optimizer": "adam", "lr": 5e-5, "weight_decay": 1e-4, "decay_at": (30,)}
_SMV_DATA = {"audio": "fbank", "frames": 3, "frames_from": "smv", "crops": "released"}
_SMV_VALUATION = _SMV | {"warmup": 5}

# DI-MML, ACM MM 2024, code and README: SGD 0.9, rate 1e-3, weight decay 1e-4, StepLR(70, 0.1) over
# 150 epochs, contrast from epoch 20; then 20 epochs of the fusion head at rate 1e-3
_JOINT_DI = {"lr": 1e-3, "weight_decay": 1e-4, "decay_at": (70, 140)}
_DI = _JOINT_DI | {"start": 20, "head_epochs": 20, "head_lr": 1e-3}
_DI_DATA = {  # the released CREMA-D loader also adds noise to every picture; this one does not
    "cremad": {"audio": "pmr", "frames": 3, "crops": "released"},
    "ave": {"audio": "pmr-10s", "frames": 4, "crops": "released"},
    "ucf101": {"recipe": "di-mml"},
    "modelnet40": {"aligned": False},
}
_DI_TEMPERATURES = {  # of the contrast, of the weights by certainty
    "cremad": (50.0, 1.0),
    "ave": (10.0, 3.0),
    "ucf101": (10.0, 1.0),
    "modelnet40": (50.0, 3.0),
}

PRESETS: dict[tuple[str, str], Preset] = {
    ("cremad", "ogm-ge"): Preset(
        "OGM-GE",
        100,
        64,
        _OGM | {"alpha": 0.8, "modulated_epochs": 50},
        _OGM_DATA,
    ),
    ("cremad", "joint"): Preset("OGM-GE's baseline", 100, 64, _OGM, _OGM_DATA),
    ("cremad", "boosting"): Preset(
        "AUG",
        200,
        64,
        _AUG | {"smoothing": 0.5, "every": 20},
        {"audio": "aug", "frames": 1, "crops": "released"},
    ),
    ("kinetics-sounds", "boosting"): Preset(
        "AUG, its first upload",
        100,
        64,
        _AUG | {"smoothing": 0.2, "every": 10},
        {"audio": "aug-kinetics", "frames": 3, "crops": "released"},
    ),
    ("kinetics-sounds", "joint"): Preset("valuation's baseline", 60, 64, _SMV, _SMV_DATA),
    ("kinetics-sounds", "valuation"): Preset("SMV", 60, 64, _SMV_VALUATION, _SMV_DATA),
    ("kinetics-sounds", "valuation-modality"): Preset(
        "SMV", 60, 64, _SMV_VALUATION | {"share": 0.2, "alpha": 1.0}, _SMV_DATA
    ),
}
for _name, (_contrast, _certainty) in _DI_TEMPERATURES.items():
    PRESETS[_name, "detached"] = Preset(
        "DI-MML",
        170,
        16,
        _DI | {"temperature": _contrast, "certainty_temperature": _certainty},
        _DI_DATA[_name],
    )
    PRESETS.setdefault(
        (_name, "joint"), Preset("DI-MML's baseline", 150, 16, _JOINT_DI, _DI_DATA[_name])
    )


def preset(data: str, method: str) -> Preset:
    """The published values for a method on a data set; `ValueError` where there are none."""
    if (data, method) not in PRESETS:
        known = ", ".join(f"{m} on {d}" for d, m in PRESETS)
        raise ValueError(f"no published values for {method} on {data}; there are some for {known}")
    return PRESETS[data, method]

"""Hyper-parameters from the papers and their released code, by data set and method.

They are what was published, not what was tuned here. A preset stands only where the source gives
the values: the papers of `gap` and `cal` were open to us as abstracts, so they have none. What a
run with a preset does otherwise than the code that it names stands in `differences`, which `train`
prints. Epochs count from 0.
"""

from dataclasses import dataclass, field, replace

EPOCHS = ("decay_at", "modulated_epochs", "every", "warmup", "start", "head_epochs")  # are counted


@dataclass(frozen=True)
class Preset:
    """Arguments of a run: of `fit`, of `make_method` (`options`), of the data set (`data`).

    `source` names the paper and the commit of its code; `differences` says, a sentence each, what
    the run does otherwise than that code.
    """

    source: str
    epochs: int
    batch_size: int
    options: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)
    differences: tuple[str, ...] = ()

    def shortened(self, epochs: int) -> "Preset":
        """The same in fewer epochs, the options that count epochs in proportion; else itself."""
        if epochs >= self.epochs:
            return self
        share = epochs / self.epochs

        def scaled(name: str, value):
            if isinstance(value, tuple):
                return tuple(scaled(name, one) for one in value)
            return max(0 if name == "start" else 1, round(value * share))

        options = {k: scaled(k, x) if k in EPOCHS else x for k, x in self.options.items()}
        return replace(self, epochs=epochs, options=options)

    def __str__(self) -> str:
        lines = [f"published values of {self.source}; differences from its code:"]
        return "\n".join([*lines, *(f"- {sentence}." for sentence in self.differences)])


_CARVED = (
    "A tenth of the training data is held out to choose the epoch; the code trains on all of it "
    "and chooses on the test data"
)
_LISTED = "The validation list chooses the epoch; the code chooses on the test data"
_FIRST = "The first frame is the first by name; the code's is the first that the file system lists"

# OGM-GE, CVPR 2022, paper, README and code: SGD 0.9, rate 1e-3, weight decay 1e-4, StepLR(70, 0.1),
# active in epochs 0 to 50, both included; alpha is given for CREMA-D and VGGSound only
_OGM = {"lr": 1e-3, "weight_decay": 1e-4, "decay_at": (70,), "initialisation": "xavier"}
_OGM_DATA = {"audio": "ogm", "frames": 1, "frames_from": "first", "crops": "released"}
_HALF = (
    "A modality's own logits, which set its coefficient, hold the head's whole bias; the code "
    "gives each modality half of it"
)

# AUG, NeurIPS 2025, paper and code: SGD 0.9, rate 1e-2, weight decay 1e-4, StepLR(70, 0.1) stepped
# before the epoch, so that it falls in epochs 69 and 139; sound weighs 0.4 of the fused logits
_AUG = {"lr": 1e-2, "weight_decay": 1e-4, "decay_at": (69, 139), "dead_zone": 0.01}
_AUG |= {"fusion_weights": {"audio": 0.4, "visual": 0.6}, "initialisation": "xavier"}
_AUG_DIFFERENCES = (
    _CARVED,
    _FIRST,
    "Added classifiers are trained, as the paper says; the code leaves them as they start "
    "(boosting-frozen does)",
    "The sound's encoder rests while the picture's is updated; under PyTorch 1.11, which the code "
    "names, momentum and weight decay move it then, too",
)

# Sample-level valuation, CVPR 2024, code: Adam, rate 5e-5, weight decay 1e-4, StepLR(30, 0.1),
# valuation after epoch 4 for the first time
_SMV = {"optimizer": "adam", "lr": 5e-5, "weight_decay": 1e-4, "decay_at": (30,)}
_SMV |= {"initialisation": "scattered"}
_SMV_DATA = {"audio": "fbank", "frames": 3, "frames_from": "smv", "crops": "released"}
_SMV_VALUATION = _SMV | {"warmup": 5}
_SMV_CARVED = (
    "Validation data, a tenth of the training data where there is no list of it, chooses the "
    "epoch; the code trains on that tenth, too, and chooses on the test data"
)
_SMV_DIFFERENCES = (
    _SMV_CARVED,
    "Samples are valued as evaluation shows them; the code values them under random crops, flips "
    "and frames",
    "A masked modality is not encoded; the code encodes it before it masks it, so that it counts "
    "in the statistics of batch normalisation",
)

# DI-MML, ACM MM 2024, code and README: SGD 0.9, rate 1e-3, weight decay 1e-4, StepLR(70, 0.1) over
# 150 epochs, contrast from epoch 20; then 20 epochs of the fusion head at rate 1e-3
_JOINT_DI = {"lr": 1e-3, "weight_decay": 1e-4, "decay_at": (70, 140)}
_DI = _JOINT_DI | {"start": 20, "head_epochs": 20, "head_lr": 1e-3}
_JOINT_DI |= {"initialisation": "scattered"}
_DI |= {"initialisation": {"encoders": "scattered", "concat": "xavier"}}
_DI_DATA = {
    "cremad": {"audio": "di-mml", "frames": 3, "crops": "released"},
    "ave": {"audio": "pmr-10s", "frames": 4, "crops": "released"},
    "ucf101": {"recipe": "di-mml", "aligned": False},
    "modelnet40": {"aligned": False},
}
_PLACES = (
    "Frames are drawn anew in every epoch; the code takes the same places of all clips of a length"
)
_DI_DIFFERENCES = {
    "cremad": (
        _CARVED,
        _PLACES,
        "Pictures are clean; the code adds noise of deviation 0.1 to each, to those of test, too",
    ),
    "ave": (_LISTED, _PLACES),
    "ucf101": (
        _CARVED,
        "A clip is seen in its middle; the code trains on another place, the same of all clips of "
        "a length",
        "Test pictures are normalised like those of training; the code has other statistics there",
    ),
    "modelnet40": (_CARVED,),
}
_MEASURED = (
    "Dimensions are measured on the data as evaluation shows it; the code measures them under "
    "random crops and flips"
)
_DI_TEMPERATURES = {  # of the contrast, of the weights by certainty
    "cremad": (50.0, 1.0),
    "ave": (10.0, 3.0),
    "ucf101": (10.0, 1.0),
    "modelnet40": (50.0, 3.0),
}

_OGM_CODE = "(CVPR 2022, commit 343dc1d)"
_SMV_CODE = "(CVPR 2024, commit 7ed12b0)"
_DI_CODE = "(ACM MM 2024, commit 83b9b7a)"
_BY_MODALITY = _SMV_VALUATION | {"share": 0.2, "alpha": 1.0}
_AUG_DATA = {"audio": "aug", "frames": 1, "frames_from": "first", "crops": "released"}

PRESETS: dict[tuple[str, str], Preset] = {
    ("cremad", "ogm-ge"): Preset(
        f"OGM-GE {_OGM_CODE}",
        100,
        64,
        _OGM | {"alpha": 0.8, "modulated_epochs": 51},
        _OGM_DATA,
        (_CARVED, _FIRST, _HALF),
    ),
    ("cremad", "joint"): Preset(
        f"OGM-GE's baseline {_OGM_CODE}", 100, 64, _OGM, _OGM_DATA, (_CARVED, _FIRST)
    ),
    ("cremad", "boosting"): Preset(
        "AUG (NeurIPS 2025, commit 841d079)",
        200,
        64,
        _AUG | {"smoothing": 0.5, "every": 20},
        _AUG_DATA,
        _AUG_DIFFERENCES,
    ),
    ("kinetics-sounds", "boosting"): Preset(
        "AUG after its first upload, without that one's gate (NeurIPS 2025, commit 966dbf5)",
        100,
        64,
        _AUG | {"smoothing": 0.2, "every": 10},
        _AUG_DATA | {"audio": "aug-kinetics", "frames": 3},
        (
            "Added classifiers count in full; the code multiplies their logits by a gate, a small "
            "network of the modalities' ratio of confidence that it trains beside them",
            *_AUG_DIFFERENCES,
            "Every clip is used; the code leaves out those of three frames or fewer",
        ),
    ),
    ("kinetics-sounds", "joint"): Preset(
        f"valuation's baseline {_SMV_CODE}", 60, 64, _SMV, _SMV_DATA, (_SMV_CARVED,)
    ),
    ("kinetics-sounds", "valuation"): Preset(
        f"sample-level valuation {_SMV_CODE}", 60, 64, _SMV_VALUATION, _SMV_DATA, _SMV_DIFFERENCES
    ),
    ("kinetics-sounds", "valuation-modality"): Preset(
        f"modality-level valuation {_SMV_CODE}", 60, 64, _BY_MODALITY, _SMV_DATA, _SMV_DIFFERENCES
    ),
}
for _name, (_contrast, _certainty) in _DI_TEMPERATURES.items():
    _options = _DI | {"temperature": _contrast, "certainty_temperature": _certainty}
    _differences = _DI_DIFFERENCES[_name]
    PRESETS[_name, "detached"] = Preset(
        f"DI-MML {_DI_CODE}", 170, 16, _options, _DI_DATA[_name], (*_differences, _MEASURED)
    )
    _joint = f"DI-MML's baseline {_DI_CODE}", 150, 16, _JOINT_DI, _DI_DATA[_name], _differences
    PRESETS.setdefault((_name, "joint"), Preset(*_joint))


def preset(data: str, method: str) -> Preset:
    """The published values for a method on a data set; `ValueError` where there are none."""
    if (data, method) not in PRESETS:
        known = ", ".join(f"{m} on {d}" for d, m in PRESETS)
        raise ValueError(f"no published values for {method} on {data}; there are some for {known}")
    return PRESETS[data, method]

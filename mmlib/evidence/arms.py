"""The arms: what is trained for each row of the tables."""

from typing import NamedTuple

from mmlib.evidence.definitions import DEFINITIONS


class Arm(NamedTuple):
    """A row of the tables: what is trained for it, by which method, with whose tuned options,
    changed how, how many times as long (in which scenario), with which numbers among the options
    how many times as large, which of them as tuned for another row (option -> row), with noise of
    which severity in half of the training samples (drawn once, each modality's own); all this in
    words: its name, its definition; and the row that its interval is taken against."""

    method: str
    options_of: str
    change: dict = {}
    times: float | dict[str, float] = 1
    scale: dict[str, float] = {}
    copied: dict[str, str] = {}
    noise: float = 0
    name: str = ""
    definition: str = ""
    against: str = ""

    def options(self, chosen: dict[str, dict]) -> dict:
        """The row's options, from what was `chosen` for each method."""
        options = chosen[self.options_of]
        scaled = {name: round(options[name] * factor, 9) for name, factor in self.scale.items()}
        copied = {name: chosen[row][name] for name, row in self.copied.items()}
        return options | scaled | copied | self.change

    def epochs(self, scenario: str, epochs: int) -> int:
        """Epochs of the row where the method has `epochs`."""
        times = self.times[scenario] if isinstance(self.times, dict) else self.times
        return round(times * epochs)

    def built_by(self, options: dict) -> tuple[str, dict]:
        """The name and options for `make_method`: a `reading` is a class, not an option."""
        options = dict(options)
        reading = options.pop("reading", None)
        return f"{self.method}-{reading}" if reading else self.method, options


# times as many updates as joint training: what sample-level valuation takes
STEPS = {"imbalanced": 1.63, "samplewise": 2.5, "corrupted": 2.08}
_OFF = {"gap_weight": 0.0, "shift_weight": 0.0}
_BARE = {"kappa": 0.0, "beta": 0.0}
_WEAK = {"lr": "base, weak loss x 3"}
_CAL = dict.fromkeys(("lr", "unimodal_weight"), "cal")
_UNEVEN = {"temperature": 0.05}  # a fifth of CAL's own: W far from a half

_ARMS = {  # without words; a row that is not here is a method as it is
    "joint-late": Arm("joint-late", "joint"),
    "ensemble, joint's rate": Arm("ensemble", "ensemble", copied={"lr": "joint"}),
    "joint, OGM-GE's rate": Arm("joint", "joint", copied={"lr": "ogm-ge"}),
    "joint, 30 epochs": Arm("joint", "joint", times=2),
    "ogm-ge-noise": Arm("ogm-ge-noise", "ogm-ge", {"alpha": 0.0}),
    "joint, same steps": Arm("joint", "joint", times=STEPS),
    "joint, same steps and rate": Arm("joint", "joint", times=STEPS, copied={"lr": "valuation"}),
    "joint-unimodal, same steps": Arm("joint-unimodal", "joint-unimodal", times=STEPS),
    "joint-unimodal, 45 epochs": Arm("joint-unimodal", "joint-unimodal", times=3),
    "valuation-random-samples": Arm("valuation-random-samples", "valuation"),
    "valuation-random": Arm("valuation-random", "valuation"),
    "valuation, inputs masked": Arm("valuation-inputs", "valuation"),
    "valuation, mean filler": Arm("valuation-mean", "valuation"),
    "valuation, 0/1 pay-off": Arm("valuation-binary", "valuation"),
    "base, weak loss x 3": Arm(
        "boosting-heavier", "base, weak loss x 3", {"loss_weights": {"visual": 3.0}}
    ),
    "fixed number": Arm("boosting-fixed", "fixed number", {"start": {"visual": 9}}),
    "boosting, weak loss's rate": Arm("boosting", "boosting", copied=_WEAK),
    "boosting-base, weak loss's rate": Arm("boosting-base", "boosting-base", copied=_WEAK),
    "boosting, fixed number's rate": Arm("boosting", "boosting", copied={"lr": "fixed number"}),
    "boosting-frozen": Arm("boosting-frozen", "boosting"),
    "residual only": Arm("boosting-residual", "boosting"),
    "all only": Arm("boosting-all", "boosting"),
    "previous only": Arm("boosting-previous", "boosting"),
    "smoothing 0": Arm("boosting", "boosting", {"smoothing": 0.0}),
    "smoothing 1": Arm("boosting", "boosting", {"smoothing": 1.0}),
    "isolated": Arm("detached", "detached", {"shared_weight": 0.0, "duc_weight": 0.0}),
    "no contrast": Arm("detached", "detached", {"duc_weight": 0.0}),
    "no shared head": Arm("detached", "detached", {"shared_weight": 0.0}),
    "permuted labels": Arm("detached-permuted", "detached"),
    "random dimensions": Arm("detached-random", "detached"),
    "normalised features": Arm("detached-normalised", "normalised features"),
    "detached, normalised's rate": Arm(
        "detached", "detached", copied={"lr": "normalised features"}
    ),
    "gap, one-sided": Arm("gap-one-sided", "gap, one-sided"),
    "gap, one-sided's rate": Arm("gap", "gap", copied={"lr": "gap, one-sided"}),
    "gap's base": Arm("gap-unweighted", "gap", _OFF),
    "gap's base, one-sided's rate": Arm("gap-unweighted", "gap, one-sided", _OFF),
    "ensemble, gap's rate": Arm("ensemble", "ensemble", copied={"lr": "gap"}),
    "gap, v1 weights": Arm("gap-v1", "gap"),
    "gap, hard posterior": Arm("gap-hard", "gap"),
    "gap, permuted posterior": Arm("gap-permuted", "gap"),
    "gap, no warm-up": Arm("gap", "gap", {"warmup": 0}),
    "penalty only": Arm("gap-unweighted", "penalty only", {"shift_weight": 0.0}),
    "penalty only, gap's weight": Arm("gap-unweighted", "gap", {"shift_weight": 0.0}),
    "shift only": Arm("gap-unweighted", "gap", {"gap_weight": 0.0}),
    "weights only": Arm("gap", "gap", _OFF),
    "purified": Arm("gap-purified", "joint-unimodal", _OFF),
    "purified at random": Arm("gap-purified-random", "joint-unimodal", _OFF),
    "bottlenecks, no more": Arm("cal", "cal", _BARE),
    "acceleration only": Arm("cal", "cal", {"beta": 0.0}),
    "uniform acceleration": Arm("cal-even-acceleration", "cal", {"beta": 0.0}),
    "inverse acceleration": Arm("cal-inverse-acceleration", "cal", {"beta": 0.0}),
    "compression only": Arm("cal", "cal", {"kappa": 0.0}),
    "uniform compression": Arm("cal-even-compression", "cal", {"kappa": 0.0}),
    "both uniform": Arm("cal-even", "cal"),
    "cal, no information": Arm("cal", "cal", {"alpha": 0.0}),
    "cal, no confidence": Arm("cal", "cal", {"alpha": 1.0}),
    "cal, swapped": Arm("cal-swapped", "cal"),
    "cal, beta x 10": Arm("cal", "cal", scale={"beta": 10.0}),
    "cal, beta / 10": Arm("cal", "cal", scale={"beta": 0.1}),
    "cal, uneven": Arm("cal", "cal", _UNEVEN),
    "cal, swapped, uneven": Arm("cal-swapped", "cal", _UNEVEN),
    "acceleration only, uneven": Arm("cal", "cal", {"beta": 0.0} | _UNEVEN),
    "inverse acceleration, uneven": Arm("cal-inverse-acceleration", "cal", {"beta": 0.0} | _UNEVEN),
    "compression only, uneven": Arm("cal", "cal", {"kappa": 0.0} | _UNEVEN),
    "joint-unimodal, CAL's options": Arm("joint-unimodal", "joint-unimodal", copied=_CAL),
    "cal, half the rate": Arm("cal", "cal", scale={"lr": 0.5}),
    "bottlenecks, half the rate": Arm("cal", "cal", _BARE, scale={"lr": 0.5}),
    "both uniform, half the rate": Arm("cal-even", "cal", scale={"lr": 0.5}),
    "cal, clipped": Arm("cal", "cal, clipped"),
    "bottlenecks, clipped": Arm("cal", "cal, clipped", _BARE),
    "uniform compression, clipped": Arm("cal-even-compression", "cal, clipped", {"kappa": 0.0}),
    "both uniform, clipped": Arm("cal-even", "cal, clipped"),
    "joint-unimodal, clipped": Arm("joint-unimodal", "joint-unimodal", {"clip": 5.0}),
    "joint-unimodal, CAL's options, clipped": Arm(
        "joint-unimodal", "joint-unimodal", {"clip": 5.0}, copied=_CAL
    ),
    "cal, even acceleration": Arm("cal-even-acceleration", "cal"),
    "cal, even compression": Arm("cal-even-compression", "cal"),
    "valuation + unimodal losses": Arm("valuation", "valuation + unimodal losses"),
    "random copies + unimodal losses": Arm(
        "valuation-random-samples", "valuation + unimodal losses"
    ),
    "two networks + unimodal losses": Arm("joint-late", "two networks + unimodal losses"),
    "ensemble, that rate": Arm(
        "ensemble", "ensemble", copied={"lr": "two networks + unimodal losses"}
    ),
    "two networks + gap loss": Arm("gap-late", "two networks + gap loss"),
    "two networks, permuted posterior": Arm("gap-late-permuted", "two networks + gap loss"),
    "dropout + unimodal losses": Arm("modality-dropout", "dropout + unimodal losses"),
    "modality-dropout": Arm("modality-dropout", "joint-unimodal"),
    "trained with noise": Arm("joint-unimodal", "joint-unimodal", noise=10),
}
ARMS = {
    row: _ARMS.get(row, Arm(row, row))._replace(**words)
    for section in DEFINITIONS.values()
    for row, words in section.items()
}

"""The course's figures: one colour and one marker for each modality, alt text on every picture."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython import get_ipython
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLORS = sns.color_palette("colorblind").as_hex()
_LOOKS = {  # the number of the colour, the marker
    "audio": (1, "o"),
    "visual": (0, "s"),
    "text": (2, "^"),
    "depth": (4, "v"),
    "flow": (5, "P"),
    "rear": (6, "X"),
    "fused": (7, "D"),
}
MODALITY_COLORS = {m: _COLORS[number] for m, (number, _) in _LOOKS.items()}
MODALITY_MARKERS = {m: marker for m, (_, marker) in _LOOKS.items()}

_IN_THE_PAGE = ("inline", "ipympl", "widget")  # parts of the names of backends


def set_style() -> None:
    """White face, light grid, readable type: once, at the top of a notebook.

    In a notebook figures are then shown in the page, whatever `MPLBACKEND` says, which clusters set
    to a backend that draws nothing there; one that is interactive in the page (ipympl) stays.
    """
    shell, backend = get_ipython(), plt.get_backend().lower()
    if getattr(shell, "kernel", None) and not any(name in backend for name in _IN_THE_PAGE):
        shell.run_line_magic("matplotlib", "inline")
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update({"figure.dpi": 80, "figure.constrained_layout.use": True})
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its alt text, a sentence that says what can be seen, and close it."""
    if not alt.strip():
        raise ValueError("alt is empty; describe in a sentence what the figure shows")
    display(figure, metadata={"image/png": {"alt": alt}})
    plt.close(figure)


def modality_style(modality: str) -> dict[str, str]:
    """Colour and marker of a modality, for `Axes.plot`; `KeyError` for an unknown one."""
    if modality not in MODALITY_COLORS:
        raise KeyError(f"no colour for modality {modality!r}; known: {', '.join(MODALITY_COLORS)}")
    return {"color": MODALITY_COLORS[modality], "marker": MODALITY_MARKERS[modality]}


def plot_curves(
    axes: Axes, x: Sequence[float], curves: Mapping[str, Sequence[float]], dashed: bool = False
) -> None:
    """A line for each modality over `x`, in its colour, with its marker."""
    for modality, y in curves.items():
        axes.plot(
            x, y, label=modality, ls="--" if dashed else "-", ms=5, **modality_style(modality)
        )


class _Diagram:
    """Words in boxes, and arrows between them."""

    def __init__(self, width: float, height: float, pad: float):
        self.figure, self.axes = plt.subplots(figsize=(width, height))
        self.box = {"boxstyle": f"round,pad={pad}", "fc": "white"}

    def say(self, x: float, y: float, text: str, color: str = "0.3") -> None:
        style = {"ha": "center", "va": "center", "fontsize": 12}
        self.axes.text(x, y, text, **style, bbox=self.box | {"ec": color})

    def arrow(self, start: tuple, end: tuple, color: str, width: float = 1.6, ls: str = "-"):
        line = {"arrowstyle": "-|>", "color": color, "lw": width, "ls": ls}
        self.axes.annotate("", end, start, arrowprops=line)

    def cropped(self, xlim: tuple, ylim: tuple) -> Figure:
        self.axes.set(xlim=xlim, ylim=ylim)
        self.axes.axis("off")
        return self.figure


def plot_shared_error() -> Figure:
    """Two chains, one sum, one loss: what the joint network of lesson 1 sends back to whom."""
    drawing = _Diagram(9, 3.4, pad=0.5)
    say, arrow, axes = drawing.say, drawing.arrow, drawing.axes
    for y, m, modality in ((2, "a", "audio"), (0, "v", "visual")):
        color, away = MODALITY_COLORS[modality], y + (0.75 if y else -0.75)
        for x, text in ((0, f"$x_{m}$"), (2, rf"encoder $f_{m}$"), (4.3, f"$W_{m} h_{m}$")):
            say(x, y, text)
        arrow((0.35, y), (1.15, y), color, 1.5)
        arrow((2.85, y), (3.7, y), color, 1.5)
        arrow((4.95, y), (6.1, 1.3 if y else 0.7), color, 1.5)
        axes.plot((7.9, 7.9, 2), (1.45 if y else 0.55, away, away), color="0.4", lw=3)
        arrow((2, away), (2, 2.35 if y else -0.35), "0.4", 3)
    say(6.4, 1, "$z$")
    say(8, 1, "loss $L(z, y)$")
    arrow((6.7, 1), (7.1, 1), "black", 1.5)
    axes.text(5, 3.0, r"back: the error, through $W_a^\top$", ha="center", fontsize=12)
    axes.text(5, -1.15, r"back: the same error, through $W_v^\top$", ha="center", fontsize=12)
    return drawing.cropped((-0.6, 9), (-1.4, 3.3))


def plot_gallery(
    pictures: Sequence[np.ndarray], spectrograms: Sequence[np.ndarray], titles: Sequence[str]
) -> Figure:
    """Pictures, `(H, W)`, above their spectrograms, `(bands, frames)`."""
    count = len(titles)
    figure, axes = plt.subplots(2, count, figsize=(1.5 * count, 3.6), squeeze=False)
    sharp = {"interpolation": "nearest"}  # also keeps the file small: equal pixels compress
    for i, title in enumerate(titles):
        axes[0, i].imshow(pictures[i], cmap="gray", vmin=0, vmax=1, **sharp)
        axes[0, i].set_title(title, fontsize=11)
        axes[1, i].imshow(spectrograms[i], cmap="cividis", origin="lower", aspect="auto", **sharp)
        for row in (0, 1):
            axes[row, i].set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("picture")
    axes[1, 0].set_ylabel("mel band")
    axes[1, 0].set_xlabel("time (0.8 s)", fontsize=10)
    return figure


def plot_intervals(
    axes: Axes, intervals: Mapping[str, tuple[float, float, float]], color: str, unit: float = 100
) -> None:
    """`(mean, low, high)` of each row as a dot on its interval, a line at 0; times `unit`."""
    names = list(intervals)
    mean, low, high = unit * np.array([intervals[name] for name in names]).T
    axes.axvline(0, color="0.4", lw=1)
    axes.errorbar(
        mean, range(len(names)), xerr=(mean - low, high - mean), fmt="o", color=color, capsize=4
    )
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))


def plot_coalitions(axes: Axes, right: Mapping[str, bool]) -> None:
    """The game of lesson 2 for one sample: pay-offs of coalitions, what each joining adds, phi.

    `right` says whether `"audio"` alone, `"visual"` alone and `"fused"` predict the target.
    """
    places = {"": (0, 0), "audio": (-1, 1), "visual": (1, 1), "fused": (0, 2)}
    names = {"": "nobody", "audio": "sound alone", "visual": "picture alone", "fused": "both"}
    paid = {"": 0} | {c: (1 + (c == "fused")) * int(right[c]) for c in ("audio", "visual", "fused")}
    joins = (("", "audio"), ("", "visual"), ("audio", "fused"), ("visual", "fused"))
    phi = {"audio": 0.0, "visual": 0.0}
    for before, after in joins:
        joiner = after if after != "fused" else {"audio": "visual", "visual": "audio"}[before]
        (x0, y0), (x1, y1), color = places[before], places[after], MODALITY_COLORS[joiner]
        gain = paid[after] - paid[before]
        phi[joiner] += gain / 2
        line = {"arrowstyle": "-|>", "color": color, "lw": 3, "shrinkA": 0, "shrinkB": 36}
        axes.annotate("", (x1, y1), (x0, y0), arrowprops=line)
        axes.text(
            (x0 + x1) / 2,
            (y0 + y1) / 2,
            f"{gain:+d}",
            ha="center",
            va="center",
            color=color,
            weight="bold",
            bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": color},
        )
    for coalition, (x, y) in places.items():
        verdict = "" if not coalition else "right, " if right[coalition] else "wrong, "
        axes.text(
            x,
            y,
            f"{names[coalition]}\n{verdict}$u$ = {paid[coalition]}",
            ha="center",
            va="center",
            fontsize=11,
            bbox={"boxstyle": "round,pad=0.4", "fc": "white", "ec": "0.3"},
        )
    axes.set(xlim=(-1.7, 1.7), ylim=(-0.4, 2.4))
    axes.axis("off")
    axes.set_title(rf"$\phi_a = {phi['audio']:g}$     $\phi_v = {phi['visual']:g}$", fontsize=13)


def plot_classifiers(counts: Mapping[str, int], moves: str = "") -> Figure:
    """Lesson 3's model: encoders, private first layers (`counts` of each), one second layer.

    With the name of a modality as `moves`, what an update by its loss moves has a thick frame in
    its colour, and all else is pale.
    """
    drawing = _Diagram(11, 3.6, pad=0.45)
    color_of = {m: MODALITY_COLORS[m] if moves in ("", m) else "0.8" for m in counts}

    def part(x: float, y: float, text: str, color: str, moved: bool = False) -> None:
        drawing.box["lw"] = 3.5 if moved else 1
        drawing.say(x, y, text, color)

    part(6.1, 1.5, "Layer 2\n(shared)", color_of.get(moves, "0.3"), bool(moves))
    for y, (m, count) in zip((3.1, 0.7), counts.items(), strict=True):
        letter, color, mine = m[0], color_of[m], m == moves
        part(0, y, f"encoder $f_{letter}$", color, mine)
        out = 2.4 if y > 1.5 else 0.6
        for j in range(count):
            height = y + (count - 1) * 0.45 - 0.9 * j
            part(3, height, rf"Layer 1$_{{{letter},{j + 1}}}$", color, mine)
            drawing.arrow((0.75, y), (2.4, height), color)
            drawing.arrow((3.6, height), (5.5, 1.5 + (0.15 if y > 1.5 else -0.15)), color)
        drawing.arrow((6.75, 1.5), (8.3, out), color)
        part(8.9, out, rf"$z_{letter}=\sum_j z_{{{letter},j}}$" + "\nits loss", color)
        drawing.arrow((9.55, out), (11.15, 1.5), "0.8" if moves else "0.3", ls="--")
    part(11.8, 1.5, "$z=z_a+z_v$\nno loss", "0.8" if moves else "0.3")
    return drawing.cropped((-1, 12.8), (-0.7, 3.7))


def plot_detached() -> Figure:
    """Lesson 4's stage 1: every loss has one encoder; features teach each other one way."""
    drawing = _Diagram(9.5, 3.8, pad=0.45)
    say, arrow, axes = drawing.say, drawing.arrow, drawing.axes
    say(6, 1.5, "shared head $g_s$")
    for y, letter, modality in ((3, "a", "audio"), (0, "v", "visual")):
        color = MODALITY_COLORS[modality]
        toward = -0.35 if y else 0.35
        say(0, y, f"encoder $f_{letter}$", color)
        say(3, y, f"features $h_{letter}$", color)
        say(6, y, f"own head $g_{letter}$", color)
        say(9, y, f"own loss, {modality}", color)
        shared = 1.5 - 1.4 * toward  # the height of the shared head's loss
        say(9, shared, f"shared loss, {modality}", color)
        arrow((0.85, y), (2.1, y), color)
        arrow((3.9, y), (5.05, y), color)
        arrow((6.95, y), (7.9, y), color)
        arrow((3.8, y + toward), (5.0, 1.5 - 0.55 * toward), color)
        arrow((7.05, 1.5 - 0.3 * toward), (7.75, shared), color)
    for x, start, end, modality, text in (
        (2.6, 2.6, 0.4, "audio", "$T_{a \\to v}$"),
        (3.3, 0.4, 2.6, "visual", "$T_{v \\to a}$"),
    ):
        color = MODALITY_COLORS[modality]
        arrow((x, start), (x, end), color, ls="--")
        side = "right" if modality == "audio" else "left"
        axes.text(x + (-0.1 if side == "right" else 0.1), 1.5, text, ha=side, va="center")
    axes.text(0, 1.5, "teaching runs one way,\nno gradient returns", ha="center", va="center")
    return drawing.cropped((-1.2, 10.3), (-0.5, 3.5))

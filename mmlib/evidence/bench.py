"""All methods side by side in each world: the README's table, and its figures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mmlib.evidence.arms import ARMS
from mmlib.evidence.costs import over_joint
from mmlib.evidence.stored import read_table
from mmlib.evidence.studies import BENCH, STUDIES
from mmlib.evidence.worlds import World, read_worlds
from mmlib.files import replacing, write_text

START, END = "<!-- bench: written by make results -->", "<!-- end of bench -->"
NONE = (float("nan"),) * 3
CONTROLS = {  # row -> whether it is a control: each stands below its method
    row: row != method
    for method, control in BENCH.items()
    for row in filter(None, (method, control))
}
PANELS = (  # of the phenomenon: title, column, what that is, whose, how the second one was trained
    ("What the picture's encoder learns", "probe_visual", "linear probe", "visual", "alone"),
    ("What is classified right", "fused", "accuracy", "fused", "apart"),
)


def bench(folder: Path) -> dict[str, pd.DataFrame]:
    """World -> its table, a row a method and control (`CONTROLS`); means over seeds, in per cent.

    Columns: `fused`, and `over`, `low`, `high` (over joint concat with its 95 % paired interval, in
    points), on `imbalanced`; `corrupted`, fused accuracy in that scenario; `lost`, the share that
    noise takes away, see `worlds.with_noise_means`. NaN for what a world does not hold.
    """
    return {
        world.name: pd.DataFrame({row: _row(world, row) for row in CONTROLS}).T
        for world in read_worlds(folder)
        if world.has("imbalanced", "joint", "fused")
    }


def _row(world: World, row: str) -> dict[str, float]:
    def mean(scenario: str, column: str) -> float:
        return 100 * world.cells(scenario, row, column).mean()

    over, low, high = world.interval("imbalanced", row, "joint", "fused") or NONE
    found = {"fused": mean("imbalanced", "fused"), "over": over, "low": low, "high": high}
    return found | {"corrupted": mean("corrupted", "fused"), "lost": mean("imbalanced", "lost")}


def markdown(tables: Mapping[str, pd.DataFrame], time: Mapping[str, float]) -> str:
    """`bench` as a Markdown table: a group of columns for each world, and, where there is any, the
    `time` of training over joint concat's, see `costs.over_joint`."""
    head = "fused | over joint concat | *corrupted* | lost to noise"
    heads = [f"{name}: {head}" if len(tables) > 1 else head for name in tables]
    heads += ["time"] if time else []
    columns = 4 * len(tables) + bool(time)
    lines = [f"| | {' | '.join(heads)} |", "|---" + "|--:" * columns + "|"]
    for row, control in CONTROLS.items():
        cells = [f"↳ *{ARMS[row].name}*" if control else f"**{ARMS[row].name}**"]
        cells += [cell for table in tables.values() for cell in _cells(table.loc[row])]
        if time:
            cells.append(f"{time[row]:.1f}x" if row in time else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(row: pd.Series) -> list[str]:
    """What stands in a world's four columns."""
    over = f"{row['over']:+.1f} ({row['low']:.1f} to {row['high']:.1f})".replace("-0.0", "0.0")
    fused, corrupted, lost = (
        "" if pd.isna(share) else f"{share:.1f}" for share in row[["fused", "corrupted", "lost"]]
    )
    return [fused, "" if pd.isna(row["over"]) else over, corrupted, lost]


def draw_bench(tables: Mapping[str, pd.DataFrame], path: Path) -> None:
    """The README's figure: fused accuracy over joint concat, a panel for each world."""
    import matplotlib.pyplot as plt  # here: every worker that makes a row would import them, too

    from mmlib.plotting import set_style

    set_style()
    shape = {"ncols": len(tables), "figsize": (4 + 3.5 * len(tables), 5.6), "squeeze": False}
    figure, axes = plt.subplots(**shape, sharex=True, sharey=True)
    rows = {row: control for row, control in CONTROLS.items() if row != "joint"}
    for ax, (world, table) in zip(axes[0], tables.items(), strict=True):
        ax.axvline(0, color="0.4", lw=1)
        for y, (row, control) in enumerate(rows.items()):
            style = {"color": "0.6", "ms": 5} if control else {"color": "C0", "ms": 8}
            over, low, high = table.loc[row, ["over", "low", "high"]]
            ax.errorbar(over, y, xerr=[[over - low], [high - over]], fmt="o", capsize=3, **style)
        ax.set_title(world, fontsize=13, weight="bold")
        ax.set_xlabel("fused accuracy over joint concat (points)")
    _name_rows(axes[0, 0], rows)
    _save(figure, path)


def _name_rows(ax, rows: Mapping[str, bool]) -> None:
    """Methods and, smaller and grey, their controls down the left."""
    names = [f"control: {ARMS[r].name}" if control else ARMS[r].name for r, control in rows.items()]
    ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    for label, control in zip(ax.get_yticklabels(), rows.values(), strict=True):
        label.set(fontsize=10 if control else 12, color="0.4" if control else "0.1")


def draw_phenomenon(folder: Path) -> None:
    """The picture of the README, `figures/phenomenon.png` beside the tables' folder."""
    import matplotlib.pyplot as plt

    from mmlib.plotting import set_style

    set_style()
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True)
    for ax, (title, column, label, modality, name) in zip(axes, PANELS, strict=True):
        ticks = {}
        for left, (world, pairs) in zip((0, 2.6), _pairs(folder, column).items(), strict=False):
            _draw_pairs(ax, left, pairs, modality)
            ax.text(left + 0.5, 6, world, ha="center", fontsize=12, weight="bold")
            ticks |= {left: "together", left + 1: name}
        ax.set(xticks=list(ticks), xticklabels=ticks.values(), xlim=(-0.9, max(ticks) + 0.9))
        ax.set(title=title, xlabel="trained", ylabel=f"{label} on test (%)", ylim=(0, 105))
        ax.grid(visible=False, axis="x")
    _save(figure, folder.parent / "figures" / "phenomenon.png")


def _pairs(folder: Path, column: str) -> dict[str, np.ndarray]:
    """World -> what it has of a network trained together and of two trained apart, in per cent:
    `(seeds, 2)`."""
    paths = {name: folder / study.place / "baselines.csv" for name, study in STUDIES.items()}
    tables = {name: read_table(path, [column]) for name, path in paths.items() if path.exists()}
    both = ["joint", "ensemble"]
    wide = {
        name: table[table["scenario"] == "imbalanced"]
        .pivot(index="seed", columns="method", values=column)
        .reindex(columns=both)
        .dropna()
        for name, table in tables.items()
    }
    return {name: 100 * table.to_numpy() for name, table in wide.items() if len(table)}


def _draw_pairs(ax, left: float, pairs: np.ndarray, modality: str) -> None:
    """A line a seed, from `left` to 1 further right, and the means beside their ends."""
    from mmlib.plotting import modality_style

    style = modality_style(modality)
    ax.plot((left, left + 1), pairs.T, color=style["color"], alpha=0.35, lw=1)
    ax.plot((left, left + 1), pairs.T, style["marker"], color=style["color"], ms=6, alpha=0.6)
    for side, align, mean in zip((0, 1), ("right", "left"), pairs.mean(0), strict=True):
        x, beside = left + side, left + (1.3 if side else -0.3)
        ax.plot((x - 0.2, x + 0.2), (mean, mean), color="0.2", lw=2.5)
        place = {"ha": align, "va": "center", "bbox": {"fc": "white", "ec": "none", "pad": 1}}
        ax.text(beside, mean, f"{mean:.0f}", **place, fontsize=13, weight="bold")


def _save(figure, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    with replacing(path) as beside:
        figure.savefig(beside, dpi=110, format="png")
    plt.close(figure)


def write_bench(folder: Path) -> None:
    """Draw `figures/bench.png` beside the tables, renew the table in the README above them."""
    tables = bench(folder)
    draw_bench(tables, folder.parent / "figures" / "bench.png")
    readme = folder.parent.parent / "README.md"
    if not readme.exists() or START not in (text := readme.read_text(encoding="utf-8")):
        return
    before, rest = text.split(START)
    _, after = rest.split(END)
    table = markdown(tables, over_joint(folder))
    write_text(readme, f"{before}{START}\n{table}\n{END}{after}")

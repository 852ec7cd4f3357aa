"""All methods side by side, from the tables of `assets/results/`: the README's table and figure."""

from pathlib import Path

import pandas as pd

from mmlib.evaluation import paired_interval
from mmlib.evidence.arms import ARMS
from mmlib.evidence.studies import BENCH, TABLES
from mmlib.files import replacing, write_text

TEST_TABLES = tuple(name for name in TABLES if name != "noise")
START, END = "<!-- bench: written by make results -->", "<!-- end of bench -->"
NOISES = ("visual gaussian", "visual salt-and-pepper", "audio white-noise", "both noisy")


def read_tables(folder: Path) -> pd.DataFrame:
    """Every test row of the lessons' tables once, clean data only."""
    tables = pd.concat([pd.read_csv(folder / f"{name}.csv") for name in TEST_TABLES])
    return tables.drop_duplicates(["scenario", "method", "epochs", "options", "seed"])


def drops(noise: pd.DataFrame, severity: int = 10) -> pd.Series:
    """Relative drop of fused accuracy, `(clean - noisy) / clean`, by method and seed.

    The mean over `NOISES` at a severity, each over its noise seeds.
    """
    rows = noise.set_index(["method", "seed"])
    parts = [rows.filter(like=f"fused {name}, {severity},").mean(axis=1) for name in NOISES]
    return 1 - sum(parts) / len(parts) / rows["fused clean"]


def bench(folder: Path) -> pd.DataFrame:
    """A row a method, its control below it; means over seeds, in per cent where it is a share.

    Columns: `name`, `control` (bool), `fused`, `over`, `low`, `high` (fused accuracy over joint
    concat with its 95 % paired interval, points), `probe` (the picture's), `macro_f1`, on
    `imbalanced`; `corrupted`, fused accuracy in that scenario; `drop`, see `drops`, NaN for what
    the noise table does not hold; `visits`, training samples visited over joint concat's.
    """
    clean = read_tables(folder)
    lost = drops(pd.read_csv(folder / "noise.csv"))

    def cells(method: str, column: str, scenario: str = "imbalanced") -> pd.Series:
        found = clean[(clean["method"] == method) & (clean["scenario"] == scenario)]
        return found.set_index("seed")[column].sort_index()

    def row(method: str, control: bool) -> dict:
        fused, joint = cells(method, "fused"), cells("joint", "fused")
        over, low, high = paired_interval(fused, joint)
        visits = cells(method, "samples").mean() / cells("joint", "samples").mean()
        found = {"fused": fused.mean(), "over": over, "low": low, "high": high}
        found |= {"probe": cells(method, "probe_visual").mean()}
        found |= {"macro_f1": cells(method, "macro_f1").mean()}
        found |= {"corrupted": cells(method, "fused", "corrupted").mean()}
        found |= {"drop": lost[method].mean() if method in lost else float("nan")}
        found = {key: 100 * value for key, value in found.items()}
        name = ARMS[method].name
        return {"method": method, "name": name, "control": control, **found, "visits": visits}

    rows = []
    for method, control in BENCH.items():
        rows.append(row(method, False))
        if control:
            rows.append(row(control, True))
    return pd.DataFrame(rows).set_index("method")


def markdown(table: pd.DataFrame) -> str:
    """`bench` as a Markdown table."""
    head = "fused | over joint concat | picture's probe | macro-F1 | *corrupted* | lost to noise"
    lines = [f"| | {head} | samples |", "|---" + "|--:" * 7 + "|"]
    for _, row in table.iterrows():
        name = f"↳ *{row['name']}*" if row["control"] else f"**{row['name']}**"
        over = f"{row['over']:+.1f} ({row['low']:.1f} to {row['high']:.1f})"
        cells = [f"{row['fused']:.1f}", over if row["over"] else ""]
        shares = row[["probe", "macro_f1", "corrupted", "drop"]]
        cells += ["" if pd.isna(share) else f"{share:.1f}" for share in shares]
        lines.append(f"| {name} | {' | '.join(cells)} | {row['visits']:.1f}x |")
    return "\n".join(lines)


def draw_bench(table: pd.DataFrame, path: Path) -> None:
    """The README's figure: fused accuracy over joint concat, and what noise takes away."""
    import matplotlib.pyplot as plt  # here: every worker that makes a row would import them, too

    from mmlib.plotting import set_style

    set_style()
    table = table.drop(index="joint")
    figure, axes = plt.subplots(1, 2, figsize=(10, 5.2), sharey=True, width_ratios=[1.6, 1])
    for y, (_, row) in enumerate(table.iterrows()):
        color, size = ("0.6", 5) if row["control"] else ("C0", 8)
        interval = [[row["over"] - row["low"]], [row["high"] - row["over"]]]
        axes[0].errorbar(row["over"], y, xerr=interval, fmt="o", color=color, ms=size, capsize=3)
        axes[1].plot(row["drop"], y, "o", color=color, ms=size)
    names = [f"control: {r['name']}" if r["control"] else r["name"] for _, r in table.iterrows()]
    axes[0].axvline(0, color="0.4", lw=1)
    axes[0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    axes[0].set(xlabel="fused accuracy over joint concat (points)")
    axes[1].set(xlabel="accuracy lost to noise (%)", xlim=(0, 30))
    for label, control in zip(axes[0].get_yticklabels(), table["control"], strict=True):
        label.set(fontsize=10 if control else 12, color="0.4" if control else "0.1")
    with replacing(path) as beside:
        figure.savefig(beside, dpi=110, format="png")
    plt.close(figure)


def draw_phenomenon(baselines: pd.DataFrame, folder: Path) -> None:
    """The picture of the README, `figures/phenomenon.png` beside the tables' folder."""
    import matplotlib.pyplot as plt

    from mmlib.plotting import modality_style, set_style

    table = baselines[baselines["scenario"] == "imbalanced"].pivot(index="seed", columns="method")
    panels = (
        ("What the picture's encoder learns", "probe_visual", "linear probe", "visual", "alone"),
        ("What the network gets right", "fused", "accuracy", "fused", "apart,\nlogits added"),
    )
    set_style()
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
    for ax, (title, column, label, modality, name) in zip(axes, panels, strict=True):
        pairs = 100 * table[column][["joint", "ensemble"]].to_numpy()
        style = modality_style(modality)
        ax.plot((0, 1), pairs.T, color=style["color"], alpha=0.35, lw=1)
        ax.plot((0, 1), pairs.T, style["marker"], color=style["color"], ms=6, alpha=0.6)
        for x, mean in enumerate(pairs.mean(0)):
            ax.plot((x - 0.15, x + 0.15), (mean, mean), color="0.2", lw=2.5)
            top = pairs[:, x].max() + 3
            ax.text(x, top, f"{mean:.0f} %", ha="center", fontsize=13, weight="bold")
        ax.set(title=title, ylabel=f"{label} on test (%)", xlim=(-0.5, 1.5), ylim=(0, 105))
        ax.set(xticks=(0, 1), xticklabels=("trained together\nwith the sound", f"trained {name}"))
    with replacing(folder.parent / "figures" / "phenomenon.png") as beside:
        figure.savefig(beside, dpi=110, format="png")
    plt.close(figure)


def write_bench(folder: Path) -> None:
    """Draw `figures/bench.png` beside the tables, renew the table in the README above them."""
    table = bench(folder)
    draw_bench(table, folder.parent / "figures" / "bench.png")
    readme = folder.parent.parent / "README.md"
    if not readme.exists() or START not in (text := readme.read_text(encoding="utf-8")):
        return
    before, rest = text.split(START)
    _, after = rest.split(END)
    write_text(readme, f"{before}{START}\n{markdown(table)}\n{END}{after}")

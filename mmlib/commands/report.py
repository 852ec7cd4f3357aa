"""What a training run leaves for its reader: scores, a table of metrics, curves, TensorBoard."""

import csv
import io
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from mmlib.batches import at_once, loaded
from mmlib.evaluation import accuracy, collect, macro_f1, mean_average_precision
from mmlib.files import replacing, write_text
from mmlib.parallel import rank, sum_over_processes, world_size
from mmlib.training import Method


def accuracies(method: Method, dataset, device: torch.device | str = "cpu") -> dict[str, float]:
    """Accuracy of the fused logits and of each modality's own, named `val_fused` and so on."""
    return _accuracies(predictions(method, dataset, device), dataset)


def final_scores(method: Method, dataset, device: torch.device | str = "cpu") -> dict[str, float]:
    """`accuracies`, and macro-F1 and mean average precision of the fused logits."""
    logits = predictions(method, dataset, device)
    scores = _accuracies(logits, dataset)
    scores[f"{dataset.split}_macro_f1"] = macro_f1(logits["fused"], dataset.target)
    average = mean_average_precision(logits["fused"], dataset.target)
    return scores | {f"{dataset.split}_map": average}


@torch.no_grad()
def predictions(method: Method, dataset, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Logits of a whole data set, `(N, K)` each, on the CPU.

    The processes of `torchrun` share its batches and get the logits of all. The batches are those
    of one process, and so are the numbers.
    """
    if world_size() == 1:
        return collect(method.predict, dataset, device)
    parts = torch.arange(len(dataset)).split(at_once(dataset))
    idle = rank() >= len(parts)  # it predicts too, to know the shapes, and adds zeros
    whole = {}
    with closing(loaded(dataset, parts[rank() :: world_size()] or parts[:1], device)) as read:
        for inputs, _, index in read:
            for m, z in method.predict(inputs).items():
                rows = whole.setdefault(m, z.new_zeros(len(dataset), z.shape[1]))
                if not idle:
                    rows[index] = z
    return {m: sum_over_processes(rows).cpu() for m, rows in whole.items()}


def _accuracies(logits: dict[str, Tensor], dataset) -> dict[str, float]:
    return {f"{dataset.split}_{m}": accuracy(z, dataset.target) for m, z in logits.items()}


def write_json(path: Path, content: dict) -> None:
    """A JSON file, whole at any moment."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: Path, rows: Sequence[dict]) -> None:
    """A line for each row, a column for each name that any of them has; whole at any moment."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def as_table(rows: Sequence[dict]) -> str:
    """Rows of the same names as lines of equal columns, numbers in percent."""

    def cell(value) -> str:
        return f"{100 * value:.1f}" if isinstance(value, float) else str(value)

    lines = [list(rows[0]), *([cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True))
        for line in lines
    )


def draw_curves(history: Sequence[dict], path: Path) -> None:
    """Loss and validation accuracy over epochs, drawn to a PNG."""
    from matplotlib.figure import Figure  # here: they take long to import

    from mmlib.plotting import MODALITY_COLORS, modality_style

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    left.plot(epochs, [row["loss"] for row in history], color="0.2", marker=".")
    left.set(xlabel="epoch", ylabel="training loss")
    for name in (name for name in history[-1] if name.startswith("val_")):
        modality = name.removeprefix("val_")
        style = modality_style(modality) if modality in MODALITY_COLORS else {}
        values = [100 * row[name] for row in history]
        right.plot(epochs, values, label=modality, markersize=4, **style)
    right.set(xlabel="epoch", ylabel="accuracy on validation (%)", ylim=(0, 100))
    right.legend()
    with replacing(path) as beside:
        figure.savefig(beside, dpi=110, format="png")


class TensorBoard:
    """Writes rows of a history to `folder`.

    Raises `ValueError` where the package tensorboard is not installed.
    """

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ValueError(
                "--tensorboard needs the package tensorboard; pip install tensorboard, or leave "
                "it out: metrics.csv holds the same numbers"
            ) from error
        self.writer = SummaryWriter(str(folder))

    def write(self, row: dict[str, float]) -> None:
        """One epoch's numbers."""
        for name, value in row.items():
            self.writer.add_scalar(name, value, int(row["epoch"]))
        self.writer.flush()

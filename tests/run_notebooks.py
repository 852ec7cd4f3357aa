"""Execute notebooks in place, without a browser, and print a table of what each one took.

    python tests/run_notebooks.py [NOTEBOOK ...]     all lessons and solutions by default

A notebook is written only if all of its cells ran and none left a word on stderr.
"""

import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.output_widget import OutputWidget
from nbformat import NotebookNode
from tqdm import tqdm

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"

# Peak memory of the kernel in MB. VmHWM where there is one, since on Linux ru_maxrss may hold
# the peak of the process that started the kernel; elsewhere ru_maxrss, which macOS gives in bytes.
PEAK_MEMORY = """
def _peak_memory():
    import resource, sys
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except FileNotFoundError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
print(_peak_memory())
"""


class SilentOutput(OutputWidget):
    """An output area of ipywidgets that does not report back to the kernel.

    Its report is sent over the socket on which nbclient waits for the cell's reply, and now and
    then that reply goes unnoticed until the timeout (nbclient 0.11 with pyzmq 27).
    """

    def sync_state(self) -> None:
        """Send nothing."""


def execute(notebook: NotebookNode, folder: Path, name: str) -> float:
    """Run all cells in a fresh kernel that starts in `folder`; return its peak memory in MB."""
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK_MEMORY))
    # disable=None: no bar in a log file
    with tqdm(total=len(notebook.cells), desc=name, unit="cell", leave=False, disable=None) as bar:
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            record_timing=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # no warnings of the kernel's own
            on_cell_complete=lambda cell, cell_index: bar.update(cell_index - bar.n),
        )
        client.widget_registry = {"@jupyter-widgets/output": {"OutputModel": SilentOutput}}
        client.execute()
    return float(notebook.cells.pop().outputs[0].text)


def without_widgets(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Drop progress bars; leave one line for each live widget, which a page cannot show."""
    kept = []
    for output in outputs:
        if WIDGET in output.get("data", {}):
            is_progress_bar = re.search(r"\[\d+:\d+[<,]", output.data.get("text/plain", ""))
            if is_progress_bar:
                continue
            output.data = {"text/plain": "Run this cell to get its controls."}
        kept.append(output)
    return kept


def normalise(notebook: NotebookNode) -> None:
    """Keep what a reader sees; drop what changes with the machine or the minute."""
    # The widgets' state goes too: a page that runs nothing shows the plain figure beside them.
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = without_widgets(cell.outputs)


def warnings_of(notebook: NotebookNode) -> str:
    """All that the cells wrote on stderr."""
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return "".join(out.text for out in outputs if out.get("name") == "stderr")


def run(path: Path) -> tuple[float, float]:
    """Execute and rewrite one notebook; return its seconds and its kernel's peak MB."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    memory = execute(notebook, path.parent, path.stem)
    seconds = time.perf_counter() - start
    if words := warnings_of(notebook):
        raise ValueError(f"its cells write on stderr, and a lesson shows no warnings:\n{words}")
    normalise(notebook)
    nbformat.validate(notebook)
    beside = path.with_suffix(".ipynb.tmp")
    nbformat.write(notebook, beside)
    beside.replace(path)
    return seconds, memory


def main(names: list[str]) -> int:
    """Run the named notebooks, or all of them; return the number that failed."""
    everything = [*sorted(NOTEBOOKS.glob("*.ipynb")), *sorted(NOTEBOOKS.glob("solutions/*.ipynb"))]
    paths = [Path(name).resolve() for name in names] or everything
    missing = [path for path in paths if not path.is_file()]
    if missing:
        sys.exit(f"There is no notebook {missing[0]}: name one, or none to run them all.")
    rows, failed = [], 0
    for path in paths:
        try:
            seconds, memory = run(path)
            rows.append(f"{seconds:8.1f}{memory:9.0f}{path.stat().st_size / 1000:8.0f}")
        except (CellExecutionError, CellTimeoutError, DeadKernelError, ValueError) as error:
            failed += 1
            rows.append(f"{'failed':>8}")
            print(f"{path.name} is left as it was: {error}", file=sys.stderr)
    titles = [os.path.relpath(path, NOTEBOOKS) for path in paths]
    width = max(map(len, titles))
    print(f"{'notebook':{width}} seconds  peak MB      KB")
    for title, row in zip(titles, rows):
        print(f"{title:{width}}{row}")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))

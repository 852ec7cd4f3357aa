"""Pytest settings shared by the unit tests and by the notebooks that run under nbval."""

import os
import shlex
import sys

import pytest
import torch

from mmlib.devices import usable_cores, use_threads

# `train` takes all cores for what is not AV-Digits; the tests' small networks, and several tests
# side by side, would wait for each other. Processes that a test starts inherit it.
os.environ.setdefault("MMLIB_THREADS", "1")
use_threads()  # the sixth decimal moves with their number; lessons say it in their first cell


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One worker a usable core for `-n auto`, at most four: each may hold a kernel of 1.5 GB."""
    return min(usable_cores(), 4)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs):
    """Workers warn of a default encoding where this process does."""
    if sys.flags.warn_default_encoding:
        for spec in specs:
            spec.python = f"{shlex.quote(sys.executable)} -X warn_default_encoding"


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


class NotebookCells:
    """Hooks for nbval's cells; a conftest in tests/ has no say over items in notebooks/."""

    def pytest_collection_modifyitems(self, items):
        """Let a busy machine deliver a cell's last output: nbval by itself gives up after 5 s."""
        for item in items:
            if hasattr(item, "output_timeout"):
                item.output_timeout = 300

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item):
        """Remember the first failed cell of a notebook."""
        report = yield
        if report.failed and hasattr(item, "cell_num"):
            item.parent.failed_cell = getattr(item.parent, "failed_cell", item.cell_num)
        return report

    def pytest_runtest_setup(self, item):
        """Skip what stands after a failed cell: its errors would hide the first one."""
        failed = getattr(item.parent, "failed_cell", None)
        if failed is not None:
            pytest.skip(f"cell {failed} of this notebook failed")


def pytest_configure(config):
    """Register the hooks for every folder on the command line."""
    config.pluginmanager.register(NotebookCells())


def pytest_runtest_setup(item):
    """A test marked `cuda` is skipped where there is none."""
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")

"""The command line on the toy data."""

import pytest

import mmlib.data
import toys
from mmlib.__main__ import main
from mmlib.data import AVDigits


@pytest.fixture(autouse=True)
def toy_data(monkeypatch):
    names = {"av-digits": AVDigits, "toy": toys.Lazy}
    monkeypatch.setattr(mmlib.data, "DATA", names)


@pytest.fixture
def start(tmp_path):
    """Run `train` on the toy data in this process."""

    def run(*words, out="run", data="toy"):
        fixed = ["--data", data, "--root", tmp_path, "--device", "cpu", "--quiet"]
        return main(list(map(str, ["train", *fixed, "--out", tmp_path / out, *words])))

    return run

"""Part of gpu_check.py: every test that needs CUDA."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

TESTS = Path(__file__).parents[1]
MARK = "mark.cuda"


def rows(device, quick):
    """How many passed, and which failed."""
    files = [p for p in sorted(TESTS.rglob("test_*.py")) if MARK in p.read_text(encoding="utf-8")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider"]
        command += ["--continue-on-collection-errors", f"--junitxml={path}", *map(str, files)]
        # the machine's own plug-ins have no say
        own = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        subprocess.run(command, cwd=TESTS.parent, env=os.environ | own)
        cases = list(ElementTree.parse(path).iter("testcase"))
    of = {
        kind: [f"{c.get('classname')}::{c.get('name')}" for c in cases if c.find(kind) is not None]
        for kind in ("failure", "error", "skipped")
    }
    passed = len(cases) - sum(map(len, of.values()))
    yield "passed", passed, None if passed or device == "cpu" else "none ran"
    yield "skipped", len(of["skipped"]), None
    failed = of["failure"] + of["error"]
    yield "failed", failed, ", ".join(failed) or None

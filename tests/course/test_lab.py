"""`make lab` as it is typed: by root, by an ordinary user, in a container without a display."""

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import nbformat
import pytest

from waiting import LIMIT, wait_for

ROOT = Path(__file__).parents[2]
LESSON = "notebooks/01_imbalance_phenomenon.ipynb"
ADDRESS = re.compile(rf"(http://[\w.:]+)/lab/tree/{re.escape(LESSON)}\?token=(\w+)\n")
# What opens another person's browser, or settles where Jupyter writes, is not the test's to use.
OTHERS = re.compile(r"(DISPLAY|WAYLAND_DISPLAY|BROWSER|JUPYTER.*|IPYTHONDIR|MPLCONFIGDIR|MAKE.*)$")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("make") is None, reason="there is no make"),
]


class Lab:
    """`make lab` with the Python of the tests, whose set-up is done, in a folder of its own."""

    def __init__(self, folder, arguments, prefix=(), **environment):
        self.log = folder / "said"
        kept = {name: value for name, value in os.environ.items() if not OTHERS.match(name)}
        command = [*prefix, "make", "--old-file=set-up", f"python={sys.executable}", "lab"]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [*command, f"ARGS={arguments}"],
                cwd=ROOT,
                env={**kept, "HOME": str(folder), **environment},
                stdin=subprocess.DEVNULL,  # a terminal would be asked whether to stop
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # a suite run in the background ignores Ctrl-C, and its children would inherit that
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def said(self):
        return self.log.read_text(encoding="utf-8")

    def runs(self):
        return self.process.poll() is None

    def address(self):
        """(server, token) as printed last."""
        found = wait_for(lambda: ADDRESS.findall(self.said()), self.runs)
        assert found, self.said()
        return found[-1]

    def page(self):
        """What a browser gets at the printed address; nothing until it listens there."""
        server, token = self.address()
        try:
            with urlopen(f"{server}/lab/tree/{LESSON}?token={token}", timeout=LIMIT) as page:
                return page.read().decode()
        except URLError:
            return ""

    def opens_lesson_1(self):
        """Whether the printed address leads to JupyterLab, and its server holds the lesson."""
        assert "jupyter-config-data" in wait_for(self.page, self.runs), self.said()
        served = self.ask(f"contents/{LESSON}")["content"]["cells"]
        cells = nbformat.read(ROOT / LESSON, as_version=4).cells
        return [cell["source"] for cell in served] == [cell.source for cell in cells]

    def ask(self, what, data=None):
        """The answer of the server's REST API."""
        server, token = self.address()
        request = Request(f"{server}/api/{what}", data, {"Authorization": f"token {token}"})
        with urlopen(request, timeout=LIMIT) as answer:
            return json.load(answer)

    def end(self):
        """Wait for its own end; the exit status of make, and what was said."""
        return self.process.wait(LIMIT), self.said()

    def ctrl_c(self):
        """Press it; what was said until the end."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.end()[1]


@pytest.fixture
def lab(tmp_path):
    """Starts `make lab ARGS=...`; what still runs at the end is stopped."""
    started = []

    def start(arguments="", **keywords):
        started.append(Lab(tmp_path, arguments, **keywords))
        return started[-1]

    yield start
    for one in filter(Lab.runs, started):
        os.killpg(one.process.pid, signal.SIGTERM)
        one.process.wait(LIMIT)


@pytest.fixture
def taken():
    """A port that someone listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """The file to which a browser on the PATH writes the page that it is to open."""
    page, script = tmp_path / "opened", tmp_path / "bin" / "lynx"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\ncat "${{1#file://}}" >"{page}"\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return page


def test_lesson_1_without_a_display(lab, opened):
    one = lab("--port 0 --ip 127.0.0.1")
    assert one.opens_lesson_1()
    said = one.ctrl_c()
    assert ("You are root" in said) == (os.geteuid() == 0)
    if sys.platform.startswith("linux"):
        assert "There is no display: open the last address that is printed below." in said
        assert not opened.exists()  # Python takes a browser for terminals, as this one is
    assert "Traceback" not in said and "make: ***" not in said


def test_lesson_1_in_a_browser_though_the_port_is_in_use(lab, opened, taken):
    one = lab(f"--ip 127.0.0.1 --port {taken}", DISPLAY=":7", BROWSER="lynx %s")
    assert one.opens_lesson_1()
    assert wait_for(lambda: opened.exists() and LESSON in opened.read_text("utf-8"), one.runs)
    said = one.ctrl_c()
    assert f"port {taken} is already in use, trying another port" in said
    assert "There is no display" not in said and "Traceback" not in said


def as_ordinary_user():
    """What to put before a command so that root runs it as somebody else; skips without a way."""
    if os.geteuid() != 0:
        pytest.skip("the user is an ordinary one already")
    ways = (
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env"],
        ["unshare", "--user", "--map-user=1000", "--map-group=1000", "env"],  # root's files are its
    )
    words = [sys.executable, "-c", "import os, jupyterlab; assert os.geteuid() != 0"]
    for way in ways:
        if shutil.which(way[0]) and not subprocess.run([*way, *words], cwd=ROOT).returncode:
            return way
    pytest.skip("root cannot become an ordinary user here who may run this Python")


def test_lesson_1_for_an_ordinary_user(lab):
    one = lab("--no-browser --port 0", prefix=as_ordinary_user())
    assert one.opens_lesson_1()
    said = one.ctrl_c()
    assert "You are root" not in said and "Traceback" not in said


def test_a_home_that_cannot_be_written(lab, tmp_path):
    one = lab("--no-browser --port 0", HOME=f"{tmp_path}/said/home")  # said is a file
    assert one.opens_lesson_1()
    assert one.ask("kernels", data=b"{}")["id"]
    said = one.ctrl_c()
    assert "Your home folder cannot be written" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--ip 127.0.0.1 --port {} --port-retries 0", "port {} is not available."),
        ("--ip 192.0.2.1", "JupyterLab cannot start: "),  # an address for documentation
    ],
)
def test_what_cannot_start_is_one_sentence(lab, taken, arguments, sentence):
    status, said = lab(arguments.format(taken)).end()
    assert status != 0 and "Traceback" not in said
    assert said.count(sentence.format(taken)) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], ["--LabApp.default_url=/lab/tree/" + LESSON]),
        (["--port", "1", "a/b.ipynb"], ["--port", "1", "--LabApp.default_url=/lab/tree/a/b.ipynb"]),
        (["--LabApp.default_url=/lab"], ["--LabApp.default_url=/lab"]),
        (["--notebook-dir", "x"], ["--notebook-dir", "x"]),
    ],
)
def test_what_is_opened_can_be_chosen(words, told):
    spec = importlib.util.spec_from_file_location("lab", ROOT / ".ci/lab.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    own = ["--allow-root", "--no-browser"]
    assert module.options([*own, *words]) == [*own, *told]

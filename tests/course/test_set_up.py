""".ci/set-up against fake Pythons: every way it can end, in seconds and without a network."""

import http.server
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from waiting import LIMIT, wait_for

ROOT = Path(__file__).parents[2]
TOOLS = "awk cat cksum cp cut dirname du grep ln mkdir mv readlink rm sed sh sleep uname".split()
# Answers as Python does to the four calls of set-up, and writes the last two down.
PYTHON = """#!/bin/sh
case "$*" in
    "-c import sys"*) echo "{version} $0" ;;
    "-c import venv"*) exit {venv_status} ;;
    "-m venv "*) echo venv {version} >>calls; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    "-m pip "*) echo pip {version} >>calls; . "$FAKE/pip" ;;
    *) exit 99 ;;
esac
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="set-up is a POSIX shell script"),
]


def script(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


class Checkout:
    """A copy of what set-up reads, in a folder with a space, and a PATH with nothing real on it."""

    def __init__(self, folder):
        self.root, self.bin = folder / "a checkout", folder / "bin"
        (self.root / ".ci").mkdir(parents=True)
        self.bin.mkdir()
        for name in (".ci/set-up", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.root / name)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.disk(gigabytes=50)
        self.pip("exit 0")

    def python(self, version, name="python3", venv_status=0):
        script(self.bin / name, PYTHON.format(version=version, venv_status=venv_status))

    def pip(self, lines):
        script(self.bin / "pip", lines)

    def disk(self, gigabytes):
        available = gigabytes * 2**20
        script(self.bin / "df", f"#!/bin/sh\necho head\necho disk 0 0 {available} 0% /\n")

    def start(self, **environment):
        return subprocess.Popen(
            [self.root / ".ci/set-up"],
            cwd=self.root.parent,
            env={"PATH": str(self.bin), "FAKE": str(self.bin), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
            # a suite run in the background ignores Ctrl-C, and its children would inherit that
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def set_up(self, **environment):
        """Run to the end; return the exit status and what was said."""
        process = self.start(**environment)
        out, err = process.communicate(timeout=LIMIT)
        assert not (self.root / ".venv.lock").is_symlink()
        return process.returncode, out + err

    def calls(self):
        """The calls of venv and pip since the last look, such as ["venv 3.12", "pip 3.12"]."""
        log = self.root / "calls"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        log.write_text("", encoding="utf-8")
        return lines


@pytest.fixture
def checkout(tmp_path):
    checkout = Checkout(tmp_path)
    checkout.python("3.12")
    return checkout


def assert_one_sentence(said, *parts):
    last = said.strip().splitlines()[-1]
    assert last.endswith((".", "'."))
    for part in parts:
        assert part in last
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) <= 2  # "Installing ..." may stand before it


def test_builds_once_and_then_has_nothing_to_do(checkout):
    status, said = checkout.set_up()
    assert status == 0 and said.endswith("Ready.\n")
    assert checkout.calls() == ["venv 3.12", "pip 3.12"]
    assert checkout.set_up() == (0, "")
    assert checkout.set_up(PYTHON="python3") == (0, "")
    assert checkout.calls() == []


def test_no_python(checkout):
    (checkout.bin / "python3").unlink()
    status, said = checkout.set_up()
    assert status == 1
    assert_one_sentence(said, "needs Python 3.10 to 3.13", "found none", "install one")


@pytest.mark.parametrize("version", ["2.7", "3.1", "3.9", "3.14"])
def test_python_too_old_or_too_new(checkout, version):
    checkout.python(version)
    status, said = checkout.set_up()
    assert status == 1
    assert_one_sentence(said, "needs Python 3.10 to 3.13", f"found Python {version} as python3")


def test_looks_further_than_an_unfit_python3(checkout):
    checkout.python("3.14")
    checkout.python("3.11", name="python3.11")
    assert checkout.set_up()[0] == 0
    assert checkout.calls() == ["venv 3.11", "pip 3.11"]


def test_named_python_that_does_not_run(checkout):
    status, said = checkout.set_up(PYTHON="python3.12")
    assert status == 1
    assert_one_sentence(said, "found none as python3.12", "name one that you have")


def test_python_without_venv(checkout):
    checkout.python("3.12", venv_status=1)
    status, said = checkout.set_up()
    assert status == 1
    assert_one_sentence(said, "has no venv module", "apt install python3.12-venv")


def test_another_python_rebuilds(checkout):
    checkout.python("3.11", name="python3.11")
    checkout.set_up()
    checkout.calls()
    assert checkout.set_up(PYTHON="python3.11")[0] == 0
    assert checkout.calls() == ["venv 3.11", "pip 3.11"]
    assert checkout.set_up() == (0, "")  # what is there is kept
    assert checkout.calls() == []


def test_changed_constraints_install_without_a_rebuild(checkout):
    checkout.set_up()
    checkout.calls()
    with (checkout.root / "constraints.txt").open("a", encoding="utf-8") as file:
        file.write("# newer\n")
    assert checkout.set_up()[0] == 0
    assert checkout.calls() == ["pip 3.12"]


def test_moved_folder_is_rebuilt(checkout):
    checkout.set_up()
    checkout.calls()
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert checkout.set_up()[0] == 0
    assert checkout.calls() == ["venv 3.12", "pip 3.12"]


def test_broken_venv_is_rebuilt(checkout):
    checkout.set_up()
    checkout.calls()
    (checkout.root / ".venv/bin/python").unlink()
    assert checkout.set_up()[0] == 0
    assert checkout.calls() == ["venv 3.12", "pip 3.12"]


def test_no_disk_space(checkout):
    checkout.disk(gigabytes=2)
    status, said = checkout.set_up()
    assert status == 1
    assert_one_sentence(said, "GB of free disk space", "found 2 GB", "free some")
    assert checkout.calls() == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk became full"),
        ("WARNING: Retrying after NewConnectionError: name resolution", "network does not answer"),
        ("ReadTimeoutError: Read timed out.", "network does not answer"),
        ("SSLError: [SSL: WRONG_VERSION_NUMBER]", "network does not answer"),
        ("certificate verify failed: certificate has expired", "this computer's clock"),
        ("ERROR: something else", "see the last lines of .venv/set-up.log"),
    ],
)
def test_failed_install_is_told_in_a_sentence_and_repaired(checkout, words, sentence):
    checkout.pip(f"echo '{words}' >&2; exit 1")
    status, said = checkout.set_up()
    assert status == 1
    assert_one_sentence(said, sentence, "run the same command again")
    assert words in (checkout.root / ".venv/set-up.log").read_text(encoding="utf-8")
    checkout.calls()
    checkout.pip("exit 0")
    assert checkout.set_up()[0] == 0
    assert checkout.calls() == ["venv 3.12", "pip 3.12"]


class Refuses(http.server.BaseHTTPRequestHandler):
    """Answers what is asked of an index with 404, of a proxy with 407."""

    def do_GET(self):
        self.send_error(404)

    def do_CONNECT(self):
        self.send_error(407)

    def log_message(self, *words):
        """Nothing."""


@pytest.fixture
def serve():
    """Starts a server on this machine, with a certificate or without; returns its port."""
    servers = []

    def start(certificate=None):
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses))
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            servers[-1].socket = context.wrap_socket(servers[-1].socket, server_side=True)
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1].server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def self_signed(folder, days):
    """A certificate for 127.0.0.1 that nobody vouches for: its file and its key's."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    files = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days)]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True)
    return files


def set_up_with_real_pip(checkout, **environment):
    """What set-up says where the true pip, which is to install nothing, meets that environment."""
    checkout.pip(f'exec "{sys.executable}" "$@"')
    alone = {"PIP_DRY_RUN": "1", "PIP_NO_CACHE_DIR": "1", "PIP_CONFIG_FILE": os.devnull}
    status, said = checkout.set_up(**alone, PIP_RETRIES="1", NO_PROXY="", **environment)
    assert status == 1
    return said


def test_a_certificate_that_pip_does_not_trust(checkout, tmp_path, serve):
    certificate = self_signed(tmp_path, days=2)
    index = f"https://127.0.0.1:{serve(certificate)}/simple"
    said = set_up_with_real_pip(checkout, PIP_INDEX_URL=index)
    parts = "'PIP_CERT=/path/to/certificate.pem make lab'", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"
    assert_one_sentence(said, "pip does not trust the certificate", "company's proxy", *parts)
    # what it says to set is what helps: the index is reached, and has no packages
    said = set_up_with_real_pip(checkout, PIP_INDEX_URL=index, PIP_CERT=str(certificate[0]))
    assert_one_sentence(said, "The package index offers no hatchling", "PIP_INDEX_URL")


def test_a_proxy_that_asks_for_a_password(checkout, serve):
    proxy = f"http://127.0.0.1:{serve()}"
    index = "https://index.invalid/simple"
    said = set_up_with_real_pip(checkout, PIP_INDEX_URL=index, HTTPS_PROXY=proxy)
    assert_one_sentence(said, "The proxy asks for a name and a password", "NAME:PASSWORD@HOST:PORT")


def test_a_python_without_ssl(checkout, tmp_path):
    (tmp_path / "ssl.py").write_text("raise ImportError", encoding="utf-8")
    index = "https://index.invalid/simple"
    said = set_up_with_real_pip(checkout, PIP_INDEX_URL=index, PYTHONPATH=str(tmp_path))
    assert_one_sentence(said, "Python 3.12 has no ssl module", "'PYTHON=python3.12 make lab'")


def wait_for_pip(checkout):
    assert wait_for((checkout.root / "pip-runs").exists, seconds=LIMIT)


def test_interrupted_set_up_is_repaired(checkout):
    checkout.pip(": >pip-runs; exec sleep 30")
    process = checkout.start()
    wait_for_pip(checkout)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    _, said = process.communicate(timeout=LIMIT)
    assert process.returncode != 0
    assert "Interrupted: run the same command again" in said
    checkout.calls()
    checkout.pip("exit 0")
    assert checkout.set_up()[0] == 0
    assert checkout.calls() == ["venv 3.12", "pip 3.12"]


def test_two_at_once_install_once(checkout):
    checkout.pip(": >pip-runs; sleep 0.5")
    first = checkout.start()
    wait_for_pip(checkout)
    status, said = checkout.set_up()
    assert status == 0
    assert f"Waiting for the set-up of process {first.pid}" in said
    assert first.wait() == 0
    first.communicate()
    assert checkout.calls() == ["venv 3.12", "pip 3.12"]


def test_lock_of_a_dead_process_is_ignored(checkout):
    dead = subprocess.Popen(["true"])
    dead.wait()
    (checkout.root / ".venv.lock").symlink_to(str(dead.pid))
    assert checkout.set_up()[0] == 0

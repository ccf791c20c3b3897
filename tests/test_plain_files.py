"""Pipes and devices are refused in the place of a file; private files have their own modes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tastyops.errors import UsageError
from tastyops.local.plain_files import (
    NotPlainFileError,
    check_plain,
    make_private_directory,
    make_public_directory,
    open_plain,
    read_plain,
)
from tastyops.transport.ssh import known_hosts
from tests.cli.project import ROOT, isolated
from tests.compatibility.records import put_back

SECONDS = 60.0


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    """A device that never ends, through a link, since a node of its own would need root."""
    path.symlink_to("/dev/zero")


def terminal(path: Path) -> None:
    """A terminal at which nobody types."""
    path.symlink_to("/dev/ptmx")


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket may have 107 bytes only
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


KINDS = [fifo, device, terminal, unix_socket]


@pytest.mark.parametrize("make", KINDS, ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    "flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_APPEND], ids=hex
)
def test_nothing_but_a_plain_file_is_opened(
    tmp_path: Path, make: Callable[[Path], None], flags: int
) -> None:
    make(tmp_path / "x")
    with pytest.raises(NotPlainFileError, match="not a plain file"):
        os.close(open_plain(tmp_path / "x", flags))
    with pytest.raises(NotPlainFileError):
        check_plain(tmp_path / "x")


def test_a_plain_file_is_read_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    assert read_plain(tmp_path / "link") == b"text"
    with pytest.raises(IsADirectoryError):
        read_plain(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "none")


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277, 0o777], ids=lambda mask: f"umask {mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_and_directory_have_their_mode_whatever_the_umask_is(
    tmp_path: Path, umask: int
) -> None:
    os.close(open_plain(tmp_path / "private", os.O_RDWR | os.O_CREAT))
    make_private_directory(tmp_path / "runs")
    make_private_directory(tmp_path / "seen", entered=True)
    assert mode(tmp_path / "private") == 0o600
    assert mode(tmp_path / "runs") == 0o700
    assert mode(tmp_path / "seen") == 0o755


def test_a_directory_that_everybody_may_write_into_is_closed_to_them(tmp_path: Path) -> None:
    for name, before, after in (("a", 0o777, 0o775), ("b", 0o1777, 0o1777), ("c", 0o750, 0o750)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(before)
        make_private_directory(tmp_path / name)
        assert mode(tmp_path / name) == after


def test_a_public_directory_is_never_one_that_everybody_may_write_into(
    tmp_path: Path, umask: int
) -> None:
    make_public_directory(tmp_path / "logs")
    assert mode(tmp_path / "logs") == 0o777 & ~umask & ~0o002


@pytest.mark.parametrize("make", KINDS, ids=lambda each: each.__name__)
def test_a_known_hosts_file_that_is_none_is_refused(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "known")
    with pytest.raises(UsageError, match="known cannot be read: not a plain file"):
        known_hosts.read([tmp_path / "known"])
    key = known_hosts.HostKey("ssh-ed25519", b"x")
    with pytest.raises(UsageError, match="not a plain file"):
        known_hosts.add(tmp_path / "known", "web1", 22, key)


def test_no_known_hosts_file_at_all_is_read_and_not_written() -> None:
    assert known_hosts.read([Path(os.devnull)]).about("web1", 22) == ()
    with pytest.raises(UsageError, match="not a plain file"):
        known_hosts.add(Path(os.devnull), "web1", 22, known_hosts.HostKey("ssh-ed25519", b"x"))


# -- the program --------------------------------------------------------------------------------


class Place:
    """A project with the records of one run, and the program in processes of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path / "project"
        put_back("unfinished/work-ended", self.path)
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            **isolated(path / "user"),
        }
        (self.path / "inventory.yml").write_text(
            "practice: true\nlogs: public\nruns: private\n"
            "hosts: {target: {address: 127.0.0.1, port: 1, known_hosts: known,"
            " identity_file: key}}\n"
        )
        (self.path / "book.yml").write_text(
            "title: More\nhosts: target\nworks: [{work: More, steps: [{run: 'true'}]}]\n"
        )

    @property
    def run(self) -> Path:
        (run,) = self.path.glob("private/[0-9]*")
        return run

    def verb(self, *words: str, umask: int = 0o022) -> tuple[int, str]:
        """A verb's exit code and words. A hang is a failure."""
        done = subprocess.run(
            [sys.executable, "-m", "tastyops", *words], cwd=self.path, env=self._environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=SECONDS, umask=umask, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stdout
        return done.returncode, done.stdout


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


FILES: dict[str, tuple[str, list[str]]] = {
    # what is not a plain file, seen from the project, and a verb that meets it
    "journal, show": ("RUN/journal.jsonl", ["show", "RUN", "--commands"]),
    "journal, verify": ("RUN/journal.jsonl", ["verify", "RUN"]),
    "journal, resume": ("RUN/journal.jsonl", ["resume", "--run", "RUN"]),
    "journal, status": ("RUN/journal.jsonl", ["status"]),
    "journal, note": ("RUN/journal.jsonl", ["note", "Later.", "--run", "2026/001"]),
    "journal, attend": ("RUN/journal.jsonl", ["attend", "RUN"]),
    "journal, prune": ("RUN/journal.jsonl", ["prune", "--yes"]),
    "journal, backup": ("RUN/journal.jsonl", ["backup", "b.tar"]),
    "kept runbook, resume": ("RUN/runbook.yml", ["resume"]),
    "blob, verify": ("BLOB", ["verify", "RUN"]),
    "notes, show": ("RUN/notes.jsonl", ["show", "RUN"]),
    "notes, note": ("RUN/notes.jsonl", ["note", "x", "--private", "--run", "2026/001"]),
    "log, show": ("LOG.jsonl", ["show", "2026/001"]),
    "log, note": ("LOG.jsonl", ["note", "Later.", "--run", "2026/001"]),
    "log, backup": ("LOG.jsonl", ["backup", "b.tar"]),
    "page, verify": ("LOG.md", ["verify", "2026/001"]),
    "page, backup": ("LOG.md", ["backup", "b.tar"]),
    "sequence, incident": ("public/.sequence", ["incident", "X", "--host", "target"]),
    "log's lock, note": ("public/2026/.001.lock", ["note", "x", "--run", "2026/001"]),
    "book's lock, incident": ("public/.lock", ["incident", "X", "--host", "target"]),
    "host's lock, status": ("public/.host-target.lock", ["status"]),
    "host's lock, run": ("public/.host-target.lock", ["run", "book.yml", "--yes"]),
    "inventory, list": ("inventory.yml", ["list"]),
    "runbook, check": ("book.yml", ["check", "book.yml"]),
    "folder's runbook, check": ("books/a.yml", ["check", "books"]),
    "action, check": ("actions/mine.py", ["check", "book.yml"]),
    "identity, run": ("key", ["run", "book.yml", "--yes"]),
    "public half, run": ("key.pub", ["run", "book.yml", "--yes"]),
    "warnings, warnings": ("w.jsonl", ["warnings", "2026/001", "w.jsonl"]),
    "ssh_config, run": ("../user/home/.ssh/config", ["run", "book.yml", "--yes"]),
}


@pytest.mark.parametrize("make", [fifo, device], ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", FILES)
def test_the_program_never_hangs_at_what_is_no_plain_file(
    place: Place, name: str, make: Callable[[Path], None]
) -> None:
    where, words = FILES[name]
    run = place.run.name
    (log,) = place.path.glob("public/*/*.jsonl")
    blob = next(iter((place.run / "blobs").iterdir()))
    for short, full in (
        ("RUN", f"private/{run}"), ("LOG", str(log.with_suffix(""))), ("BLOB", str(blob)),
    ):  # fmt: skip
        where = where.replace(short, full) if where.startswith(short) else where
    path = place.path / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    make(path)
    _, said = place.verb(*[run if word == "RUN" else word for word in words])
    assert said
    if name.split(",")[0] in ("journal", "inventory", "runbook", "warnings"):
        assert "plain file" in said


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077], ids=oct)
def test_what_a_run_writes_has_its_modes_whatever_the_umask_is(tmp_path: Path, mask: int) -> None:
    place = Place(tmp_path)
    (place.path / "inventory.yml").write_text(
        "logs: new/logs\nruns: new/runs\nhosts: {target: {connection: practice}}\n"
    )
    code, said = place.verb("run", "book.yml", "--yes", umask=mask)
    assert code == 0, said
    assert place.verb("note", "x", "--private", umask=mask)[0] == 0
    assert place.verb("backup", "b.tar", umask=mask)[0] == 0
    runs = place.path / "new" / "runs"
    for path in (runs, *runs.rglob("*")):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path
    assert mode(place.path / "b.tar") == 0o600
    for path in (place.path / "new").rglob("*"):
        assert not mode(path) & 0o002, path

"""An archive of logs and runs. Every journal in it is complete, also that of a live run.

A journal only ever grows by whole lines, so its whole lines are a true copy at any moment. What it
refers to was there before the line that says so, hence the order: a log before the runs that
write into it, a journal before its outputs.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import stat
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from tastyops.errors import BackupFailed
from tastyops.journal.chain import unseal
from tastyops.journal.envelope import stamp
from tastyops.local.plain_files import read_plain
from tastyops.records.files import sync_directory
from tastyops.records.runs import JOURNAL, run_directories
from tastyops.records.verify import verify_lines

MANIFEST = "tastyops-backup.json"
LOOKS, PAUSE = 20, 0.05
"""How often, and at what interval, an incomplete line is read again."""

TRIES = 20
"""How often a log that changed meanwhile is read again."""

_Writing = Literal["w", "w:gz"]


@dataclass
class Contents:
    """The contents of an archive, and everything found wrong, as sentences."""

    made: datetime
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: int = 0
    files: int = 0
    size: int = 0
    going_on: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The manifest."""
        return {
            "v": 1, "made": stamp(self.made), "files": self.files, "logs": self.logs,
            "runs": self.runs, "faults": self.faults,
        }


def write_archive(
    destination: Path, places: Sequence[tuple[Path, Path]], base: Path, now: datetime
) -> Contents:
    """Writes ``destination`` (``.tar`` or ``.tar.gz``) whole or not at all, private.

    ``places``: pairs of a directory of logs and one of runs; inside the archive each has its path
    from ``base``. Raises BackupFailed, also where the file is there already.
    """
    mode: _Writing = "w:gz" if destination.name.endswith(".gz") else "w"
    temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}")
    contents = Contents(now)
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                with tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as tar:
                    writer = _Writer(tar, contents, base)
                    for logs in dict.fromkeys(logs for logs, _ in places):
                        writer.logs(logs)
                    for _, runs in places:
                        writer.runs(runs)
                    writer.manifest()
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, destination)  # unlike a rename, never over another file
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(destination.parent)
    except (OSError, tarfile.TarError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BackupFailed(
            f"{destination} cannot be written: {said}.",
            still_true="The records are as they were; nothing of the archive was kept.",
            next_step="Make room, correct the permissions, or give another file.",
        ) from error
    return contents


class _Writer:
    """Puts files into the archive and counts them."""

    def __init__(self, tar: tarfile.TarFile, contents: Contents, base: Path) -> None:
        self._tar, self._contents, self._base = tar, contents, base.resolve()

    def _name(self, path: Path) -> str:
        """Its path from the base; elsewhere, as tar has it, without the first slash."""
        whole = path.parent.resolve() / path.name
        if whole.is_relative_to(self._base):
            return str(whole.relative_to(self._base))
        return str(whole).lstrip("/")

    def _put(self, name: str, found: os.stat_result | None, size: int, data: BinaryIO) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = size
        entry.mode = stat.S_IMODE(found.st_mode) if found else 0o600
        entry.mtime = int(found.st_mtime if found else self._contents.made.timestamp())
        self._tar.addfile(entry, data)
        self._contents.files += 1
        self._contents.size += size

    def _folder(self, path: Path) -> None:
        entry = tarfile.TarInfo(self._name(path))
        found = path.lstat()
        entry.type, entry.mode = tarfile.DIRTYPE, stat.S_IMODE(found.st_mode)
        entry.mtime = int(found.st_mtime)
        self._tar.addfile(entry)

    def _file(self, path: Path) -> None:
        """A plain file as it is; one that has gone (a spooled event was taken) is not missed."""
        with contextlib.suppress(FileNotFoundError), _plain(path) as file:
            if file is None:
                self._contents.faults.append(f"{path} is not a plain file and was left out.")
                return
            found = os.fstat(file.fileno())
            self._put(self._name(path), found, found.st_size, file)

    # -- logs ----------------------------------------------------------------------------------

    def logs(self, directory: Path) -> None:
        """Every log, its page and its journal as of one moment; and the numbers taken."""
        for path in _below(directory):
            if path.is_dir():
                self._folder(path)
            elif path.suffix == ".jsonl":
                self._log(path)
            elif _belongs(path):
                self._file(path)

    def _log(self, journal: Path) -> None:
        page = journal.with_suffix(".md")
        for _ in range(TRIES):
            before = read_plain(journal)
            text = read_plain(page) if page.exists() else None
            if read_plain(journal) == before:
                break
        wrong = [fault for line in unseal(io.BytesIO(before)) for fault in line.faults]
        self._contents.faults += [f"{journal}:{fault.line}: {fault.what}." for fault in wrong]
        self._put(self._name(journal), journal.lstat(), len(before), io.BytesIO(before))
        if text is not None:
            self._put(self._name(page), page.lstat(), len(text), io.BytesIO(text))
        self._contents.logs += 1

    # -- runs ----------------------------------------------------------------------------------

    def runs(self, directory: Path) -> None:
        """Every run: its journal's whole lines, verified, and then all else."""
        for run in run_directories(directory):
            self._folder(run)
            self._journal(run)
            for path in _below(run):
                if path.name == JOURNAL and path.parent == run:
                    continue
                if path.is_dir() and not path.is_symlink():
                    self._folder(path)
                elif not path.name.startswith("."):  # one being written: no event has it yet
                    self._file(path)

    def _journal(self, run: Path) -> None:
        with _plain(run / JOURNAL) as file:
            if file is None:
                self._contents.faults.append(f"{run / JOURNAL} is not a plain file; left out.")
                return
            size = _settled_size(file)
            closed = False

            def lines() -> Iterator[bytes]:
                nonlocal closed
                for line in _lines(file, size):
                    closed = closed or b'"kind":"run-closed"' in line
                    yield line

            count, head, wrong = verify_lines(run, unseal(lines()))
            file.seek(0)
            self._put(self._name(run / JOURNAL), os.fstat(file.fileno()), size, file)
        self._contents.runs[run.name] = {"events": count, "head": head, "faults": len(wrong)}
        self._contents.faults += wrong
        if not closed:
            self._contents.going_on.append(run.name)

    def manifest(self) -> None:
        """What the archive holds, last, so that an archive cut short is known by its absence."""
        data = json.dumps(self._contents.to_json(), indent=1).encode() + b"\n"
        self._put(MANIFEST, None, len(data), io.BytesIO(data))


def _belongs(path: Path) -> bool:
    """Whether a file among the logs is copied on its own: no lock, none half written, no page."""
    if path.name.startswith("."):
        return path.name in (".sequence", ".practice")
    return path.suffix != ".md" or not path.with_suffix(".jsonl").exists()


def _below(directory: Path) -> list[Path]:
    """Everything below, folders before what is in them; links are not followed."""
    found: list[Path] = []
    for folder, folders, names in os.walk(directory):
        folders.sort()
        here = Path(folder)
        found += [here / name for name in (*folders, *sorted(names))]
    return found


@contextlib.contextmanager
def _plain(path: Path) -> Iterator[BinaryIO | None]:
    """A plain file, opened; None for anything else, which might hang or lead elsewhere."""
    if not stat.S_ISREG(path.lstat().st_mode):
        yield None
        return
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        yield file


def _settled_size(file: BinaryIO) -> int:
    """Bytes of whole lines. Where nobody writes the rest of the last line, it is torn for good.

    Then it is copied as it is, and found by ``verify``.
    """
    size = os.fstat(file.fileno()).st_size
    for _ in range(LOOKS):
        whole = _last_newline(file, size)
        if whole == size:
            return size
        time.sleep(PAUSE)
        if os.fstat(file.fileno()).st_size != size:
            return whole
    return size


def _last_newline(file: BinaryIO, size: int) -> int:
    """The offset at which the last complete line before ``size`` ends."""
    end = size
    while end > 0:
        start = max(0, end - 65536)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def _lines(file: BinaryIO, size: int) -> Iterator[bytes]:
    file.seek(0)
    left = size
    while left > 0:
        line = file.readline(left)
        if not line:
            return
        left -= len(line)
        yield line

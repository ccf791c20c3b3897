"""What a console said while it was an operator's, kept beside the runs: private, a file a time."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

from tastyops.local.plain_files import PRIVATE_DIRECTORY, make_private_directory, open_plain
from tastyops.records.files import CLOSED, append_all, must_write

FOLDER = "consoles"
"""In the runs directory; no run has such a name."""

MOST_KEPT = 64 * 1024 * 1024
"""Bytes of one session; what comes after that is shown and not kept."""


class ConsoleFile:
    """One session's file: a line of JSON that says whose it was, then the bytes as they came.

    What was typed is not in it, but for what the host echoed. Raises JournalUnwritable.
    """

    def __init__(self, runs: Path, host: str, who: str, how: str, now: datetime) -> None:
        folder = runs / FOLDER
        with must_write(folder):
            make_private_directory(runs)
            make_private_directory(folder)
            folder.chmod(PRIVATE_DIRECTORY)
            self.path = folder / f"{now:%Y%m%dT%H%M%S%f}-{host}.log"
            self._fd = open_plain(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self._left = MOST_KEPT
        head = {"host": host, "who": who, "how": how, "at": now.isoformat(timespec="seconds")}
        self.heard(json.dumps(head).encode() + b"\n")

    def heard(self, data: bytes) -> None:
        """Some bytes."""
        data = data[: self._left]
        self._left -= len(data)
        with must_write(self.path.parent):
            append_all(self._fd, data)

    def close(self) -> None:
        """Ends it."""
        descriptor, self._fd = self._fd, CLOSED
        os.close(descriptor)

"""A last line that was not written whole: its bytes are kept, the journal goes on without them."""

from __future__ import annotations

import os
from pathlib import Path

from tastyops.errors import JournalDamaged
from tastyops.journal.chain import LONGEST_LINE
from tastyops.journal.events import LineTorn
from tastyops.local.plain_files import reading
from tastyops.records.files import must_write, sync_directory, write_whole

_PIECE = 64 * 1024
"""Bytes looked at first: nearly every line is shorter."""


def put_aside_torn(path: Path) -> LineTorn | None:
    """Moves the bytes after a journal's last whole line into a file of their own beside it.

    Raises JournalUnwritable, and JournalDamaged where no line is so long.
    """
    with must_write(path):
        tail = _after_the_last_line(path)
        if not tail:
            return None
        end = path.stat().st_size - len(tail)
        name = f"torn-{end}.bin"
        write_whole(path.with_name(name), tail, 0o600)
        os.truncate(path, end)
        sync_directory(path.parent)
    return LineTorn(name, len(tail))


def _after_the_last_line(path: Path) -> bytes:
    """The bytes of a last line that has no end. Raises JournalDamaged where no line is so long."""
    with reading(path) as file:
        size = file.seek(0, os.SEEK_END)
        for length in (_PIECE, LONGEST_LINE):
            file.seek(max(0, size - length))
            data = file.read()
            end = data.rfind(b"\n") + 1
            if end or len(data) == size:
                return data[end:]
    raise JournalDamaged(
        f"{path} ends in a line that is longer than any event is.",
        still_true="No host was touched.",
        next_step=f"`invoke verify {path.parent.name}` lists all that is wrong with it.",
    )

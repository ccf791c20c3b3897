"""A log's ``.jsonl``: read once, then only what others have appended since."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from tastyops.errors import JournalDamaged
from tastyops.journal.chain import GENESIS, seal, unseal
from tastyops.journal.public_events import PublicBody, PublicEvent, public_from_json
from tastyops.local.plain_files import NotPlainFileError, open_plain, reading
from tastyops.records.files import append_or_nothing, write_whole

LARGEST = 64 * 1024 * 1024
"""Bytes of a log that are read; one with a hundred thousand sentences is smaller."""


class PublicJournal:
    """The chain in one file. Several processes may append to it, each under the log's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[PublicEvent] = []
        self.pages: list[str] = []
        """The digests of the last two pages that were written."""
        self.torn = 0
        """Bytes of a last line that was not written to its end: a writer was killed or is at it."""
        self._head, self._seq, self._lines, self._size = GENESIS, 0, 0, 0

    def catch_up(self) -> None:
        """Takes in what was appended since the last time. Raises JournalDamaged."""
        try:
            with reading(self.path) as file:
                size = os.fstat(file.fileno()).st_size
                if size < self._size:
                    raise JournalDamaged(f"{self.path} is shorter than it was: it was cut.")
                if size > LARGEST:
                    raise JournalDamaged(f"{self.path} is larger than any log is.")
                file.seek(self._size)
                data = file.read()
        except NotPlainFileError as error:
            raise JournalDamaged(f"{self.path} is not a plain file.") from error
        except FileNotFoundError:
            if self._size:
                raise JournalDamaged(f"{self.path} is gone.") from None
            return
        whole = data[: data.rfind(b"\n") + 1]
        self.torn = len(data) - len(whole)
        self._take(whole)

    def _take(self, whole: bytes) -> None:
        expected = self._seq + 1 if self._seq else None
        lines = unseal(
            io.BytesIO(whole), before=self._head, expected=expected, first=self._lines + 1
        )
        for line in lines:
            if line.faults or line.data is None:
                what = line.faults[0].what if line.faults else "not an event"
                raise JournalDamaged(f"{self.path}:{line.number}: {what}.")
            event, seq = public_from_json(line.data), line.data.get("seq")
            if not isinstance(seq, int):
                raise JournalDamaged(f"{self.path}:{line.number}: this line has no number.")
            self._learn(line.data.get("page"), event)
            self._head, self._seq, self._lines = str(line.data["hash"]), seq, line.number
        self._size += len(whole)

    def _learn(self, page: object, event: PublicEvent | None) -> None:
        """Keeps what a line tells; a kind of another version stays in the file and is numbered."""
        if page:
            self.pages = [*self.pages[-1:], str(page)]
        if event is not None:
            self.events.append(event)

    def drafts(
        self, lines: Sequence[tuple[PublicBody, datetime, str, str]]
    ) -> list[PublicEvent]:
        """The lines as they would be appended now; each is body, moment, source and who."""
        now = datetime.now(UTC)
        return [
            PublicEvent(self._seq + i, now, at, body, source, who=who)
            for i, (body, at, source, who) in enumerate(lines, 1)
        ]

    def append(self, drafts: Sequence[PublicEvent]) -> None:
        """Seals the drafts and appends them in one write, durable. Raises OSError, nothing kept."""
        sealed, head = [], self._head
        for draft in drafts:
            line, head = seal(structs.replace(draft, prev=head).to_json())
            sealed.append(line)
        data = b"".join(sealed)
        append_or_nothing(self.path, data, 0o644)
        self._head, self._seq = head, self._seq + len(drafts)
        self._lines, self._size = self._lines + len(drafts), self._size + len(data)
        for draft in drafts:
            self._learn(draft.page, draft)

    def set_aside_what_is_torn(self, say: Callable[[str], None]) -> None:
        """Keeps the piece of a line that a killed writer left, and says so; the chain goes on.

        Only under the log's lock: without it, somebody may be in the middle of that line.
        """
        if not self.torn:
            return
        count = len(list(self.path.parent.glob(f"{self.path.name}.torn-*"))) + 1
        kept = self.path.with_name(f"{self.path.name}.torn-{count}")
        with os.fdopen(open_plain(self.path, os.O_RDWR), "r+b") as file:
            file.seek(self._size)
            write_whole(kept, file.read())
            file.truncate(self._size)
        self.torn = 0
        say(
            f"The last line of {self.path} was not written to its end: whoever wrote it was killed."
            f" The piece is kept as {kept.name}."
        )

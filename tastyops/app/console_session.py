"""A session with a host's console, whose output is kept in the private records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tastyops.app.devices import device_passwords
from tastyops.app.environment import connect
from tastyops.app.operators import operator
from tastyops.app.record_lookup import Records
from tastyops.app.secrets import Secrets
from tastyops.errors import JournalUnwritable, TastyopsError
from tastyops.model.inventory import Host
from tastyops.ports import Console
from tastyops.records.console_records import ConsoleFile


@dataclass(frozen=True)
class ConsoleSession:
    """An attached console, and the file that keeps its output."""

    console: Console
    record: Path


@contextlib.contextmanager
def console_session(
    host: Host, records: Records, show: Callable[[bytes], None], *, take: bool
) -> Iterator[ConsoleSession]:
    """Attaches a host's console; ``take`` ends the session of whoever has it.

    Raises ConsoleUnreachable, NoConsole, ConsoleHeld.
    """
    hidden = Secrets(devices=device_passwords([host]))
    runs = records.runs_directory(practice=host.practice)
    with contextlib.ExitStack() as stack:
        environment = connect(stack, [host], hidden)
        way = host.console.named if host.console else "the practice host's own"
        record = ConsoleFile(runs, host.name, operator(), way, datetime.now(UTC))
        stack.callback(record.close)

        def heard(data: bytes) -> None:
            show(data)
            with contextlib.suppress(JournalUnwritable):  # a full disk takes no console away
                record.heard(data)

        try:
            console = environment.ways.console(host, heard=heard, take=take)
        except TastyopsError:
            record.path.unlink(missing_ok=True)  # there was no session
            raise
        stack.callback(console.close)
        yield ConsoleSession(console, record.path)

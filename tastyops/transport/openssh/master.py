"""One authenticated connection: an ``ssh`` that stays in the background and opens sessions.

``ssh -f -M -N`` ends in the foreground as soon as it has authenticated or failed, and goes on in
a session of its own, which no Ctrl-C reaches. Its messages go to a file (``-E``); its standard
error, to another, has the banner and what a ProxyCommand says.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from pathlib import Path
from time import monotonic

from tastyops.transport.openssh.client import PERSIST_SECONDS, Client, workspace
from tastyops.transport.openssh.control import Control, MasterGoneError
from tastyops.transport.openssh.record import Record
from tastyops.transport.openssh.refusals import refusal
from tastyops.transport.openssh.terminal import asking_there
from tastyops.transport.openssh.trust import jump_in_the_way

_SIGNING_SECONDS = 60.0
"""How long a key may take to sign: a hardware key waits that long for a finger."""

_END_SECONDS = 0.5

_LOOK_SECONDS = 1.0


class Master:
    """A connection to one host, not open yet. ``asking``: for a passphrase, on the terminal."""

    def __init__(self, client: Client, *, asking: bool = False) -> None:
        self._client = client
        self._asking = asking
        self._stem = workspace().stem()
        self._pid = self._group = 0
        self._spare: Control | None = None
        self.record = Record("", "")

    def open(self) -> None:
        """Connects and authenticates. Raises Unreachable and its kinds, UsageError."""
        try:
            failed = self._started()
            if not failed:
                self._spare = Control(self._stem, self._client.timing.connect)
                self._pid = self._spare.pid()
        except MasterGoneError as error:
            failed = f"its control socket does not work: {error}"
        except BaseException:
            self.close()
            raise
        self.record = self._read()
        if failed:
            self.close()
            told = jump_in_the_way(self._client, self.record)
            raise told or refusal(self._client, self.record, failed)

    def _started(self) -> str:
        """Runs ``ssh`` until it is in the background. Returns what went wrong, or nothing."""
        options = [
            "-f", "-N", "-T", "-M", "-S", self._stem, "-E", f"{self._stem}.log",
            "-v", "-o", f"ControlPersist={PERSIST_SECONDS}",
        ]  # fmt: skip
        words = self._client.words(*options, asking=self._asking)
        done, theirs = os.pipe()
        try:
            with open(f"{self._stem}.said", "wb") as said, open(theirs, "wb") as output:
                begun: contextlib.AbstractContextManager[subprocess.Popen[bytes]]
                if self._asking:
                    begun = asking_there(words, output, said)
                else:
                    begun = contextlib.nullcontext(subprocess.Popen(
                        words, stdin=subprocess.DEVNULL, stdout=output, stderr=said,
                        start_new_session=True,
                    ))  # fmt: skip
                with begun as process:
                    output.close()
                    self._group = process.pid
                    limit = self._awaited(process.pid, done)
        finally:
            os.close(done)
        status = process.wait()
        if status == -signal.SIGINT:
            raise KeyboardInterrupt
        return "" if status == 0 else limit or f"ssh ended with status {status}"

    def _awaited(self, pid: int, done: int) -> str:
        """Waits for the end of its output, which it gives up when it ends or goes into the
        background. Kills it when nothing happens for too long, and says so.
        """
        ready = select.poll()
        ready.register(done, select.POLLIN)
        size, since = 0, monotonic()
        while not ready.poll(1000 * _LOOK_SECONDS) or os.read(done, 4096):
            if self._asking:
                continue
            now = self._size()
            if now != size:
                size, since = now, monotonic()
            limit = self._patience()
            if monotonic() - since >= limit:
                self._kill(pid)
                return f"no answer within {limit:g} s"
        return ""

    def _patience(self) -> float:
        """Seconds without a word after which it is given up. Up to the greeting, ConnectTimeout
        limits it.
        """
        record = self._read()
        if record.signing:
            return _SIGNING_SECONDS
        return self._client.timing.connect if record.greeted else float("inf")

    def _size(self) -> int:
        try:
            return os.stat(f"{self._stem}.log").st_size
        except OSError:
            return 0

    def _read(self) -> Record:
        texts = []
        for name in ("log", "said"):
            try:
                texts.append(Path(f"{self._stem}.{name}").read_text("utf-8", "replace"))
            except OSError:
                texts.append("")
        return Record(*(workspace().originals_in(text) for text in texts))

    # -- while it is open ----------------------------------------------------------------------

    def control(self) -> Control:
        """A conversation with it, for one session. Raises MasterGoneError."""
        spare, self._spare = self._spare, None
        return spare or Control(self._stem, self._client.timing.connect)

    @property
    def active(self) -> bool:
        """Whether it answers on its control socket."""
        try:
            control = self.control()
        except MasterGoneError:
            return False
        try:
            return control.pid() == self._pid
        except MasterGoneError:
            return False
        finally:
            control.close()

    def close(self) -> None:
        """Ends the connection, the process and its proxy; never raises."""
        if self._spare is not None:
            self._spare.close()
            self._spare = None
        if self._pid and not self._ended_by_itself():
            self._kill(self._pid)
        if self._group and (not self._pid or self.record.proxied):
            # A ProxyCommand stays in the group that ``ssh`` was started in.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signal.SIGTERM)
        self._pid = self._group = 0
        for ending in ("", ".log", ".said"):
            with contextlib.suppress(OSError):
                os.unlink(self._stem + ending)

    def _ended_by_itself(self) -> bool:
        """Asks it to end. False where it has not within a moment, as with a peer that is dead."""
        try:
            control = self.control()
        except MasterGoneError:
            return True
        try:
            control.terminate()
            return control.ended(_END_SECONDS)
        except MasterGoneError:
            return True
        finally:
            control.close()

    @staticmethod
    def _kill(pid: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)

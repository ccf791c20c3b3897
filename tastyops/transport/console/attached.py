"""Attached consoles. A thread always reads them, since an unread console stalls its host."""

from __future__ import annotations

import re
import select
import threading
import time
from collections.abc import Callable, Sequence

from tastyops.errors import ConsoleUnreachable
from tastyops.facts.console_screen import Screen
from tastyops.facts.parsers import parse
from tastyops.model.commands import Blob, Output
from tastyops.model.inventory import Host
from tastyops.ports import Ended, Sink
from tastyops.protocol.serial_mux import ERASE, IN_USE
from tastyops.redact import Masker
from tastyops.transport.console.screen import Drawing
from tastyops.transport.console.session import session
from tastyops.transport.console.transports import Line
from tastyops.transport.ssh.session import SshSession

IDLE = 0.2
"""Seconds without a byte after which a possible start of a secret is shown."""

QUIET = 0.3
"""Seconds without a byte after which a drawing counts as complete."""

MOST_DRAWING = 2.0
"""Seconds a look waits for a complete drawing, at most."""

KEYS_AT_ONCE, KEYS_PAUSE = 16, 0.02
"""Keys typed at once, and the seconds between. A boot loader that polls its serial port loses keys
that come faster."""

CLOSED = "it was closed here"
"""Why a console has ended after ``close``."""

SHELL, ENTERED = r"[#$] ?$", 3.0
"""A shell's prompt, and the seconds it may take to come after Enter."""


class Attached:
    """One attached console. ``secret`` gives the value that is typed for a name.

    ``pace`` is how many of the run's seconds pass in a real one. What ``heard`` is given, and what
    is seen, is masked.
    """

    def __init__(
        self,
        line: Line,
        how: str,
        heard: Callable[[bytes], None],
        *,
        masker: Masker | None = None,
        secret: Callable[[str], bytes] | None = None,
        pace: float = 1.0,
    ) -> None:
        self._line, self.how, self._heard = line, how, heard
        self._masker, self._secret, self._pace = masker or Masker(), secret, pace
        self._drawing = Drawing()
        self._tap: Callable[[bytes], bytes] | None = None
        self._changed = threading.Condition()
        self._typing = threading.Lock()
        self._lost, self._stopping, self._closing = "", False, False
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._drain, name=f"console {how}", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> str:
        """Why the console has ended."""
        return self._lost

    # -- reading -------------------------------------------------------------------------------

    def _drain(self) -> None:
        """The thread: reads until the console ends."""
        masked = self._masker.stream(at_least=1)
        why = "it was closed at the other end"
        try:
            while not self._closing:
                if not select.select([self._line], [], [], IDLE)[0]:
                    self._take(masked.finish())
                    continue
                data = self._line.read()
                if not data:
                    break
                tap = self._tap
                self._take(masked.feed(tap(data) if tap else data))
        except (OSError, ValueError) as error:  # ValueError: closed by us meanwhile
            why = getattr(error, "strerror", None) or str(error)
        self._take(masked.finish())
        with self._changed:
            self._lost = CLOSED if self._closing else why
            self._changed.notify_all()

    def _take(self, data: bytes) -> None:
        if not data:
            return
        with self._changed:
            self._drawing.feed(data)
            self._last = time.monotonic()
            self._changed.notify_all()
        self._heard(data)

    # -- looking -------------------------------------------------------------------------------

    def look(self, seconds: float, until: Sequence[str], *, sink: Sink) -> Ended:
        """Waits for one of the regular expressions, if any, and returns the screen."""
        wanted = [re.compile(pattern) for pattern in until]
        began = time.monotonic()
        with self._changed:
            self._stopping = False
            if wanted:
                self._wait(wanted, began + seconds / self._pace)
            if self._lost and not self._drawing.heard:
                raise self._gone()
            sink.out(self._drawing.look())
            state = "stopped" if self._stopping else "ended"
        taken = (time.monotonic() - began) * self._pace
        return Ended(-1, taken, "stopped") if state == "stopped" else Ended(0, taken)

    def _wait(self, wanted: list[re.Pattern[str]], deadline: float) -> None:
        """Waits for a match and its drawing, at most until the deadline or the console's end."""
        while not self._over(deadline):
            text = self._drawing.text
            if any(pattern.search(text) for pattern in wanted):
                self._settle(min(deadline, time.monotonic() + MOST_DRAWING / self._pace))
                return
            self._changed.wait(max(0.0, min(IDLE, deadline - time.monotonic())))

    def _settle(self, deadline: float) -> None:
        quiet = QUIET / self._pace
        while not self._over(deadline) and time.monotonic() - self._last < quiet:
            self._changed.wait(quiet)

    def _over(self, deadline: float) -> bool:
        return bool(self._lost) or self._stopping or time.monotonic() >= deadline

    def until(self, patterns: Sequence[str], seconds: float) -> str:
        """The text so far, after a match or the time limit; nothing is consumed."""
        wanted = [re.compile(pattern) for pattern in patterns]
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._over(deadline):
                if any(pattern.search(self._drawing.text) for pattern in wanted):
                    break
                self._changed.wait(max(0.0, min(IDLE, deadline - time.monotonic())))
            return self._drawing.text

    def begin(self) -> None:
        """Drops what the transport said about itself before the first look."""
        with self._changed:
            self._drawing = Drawing()

    def tap(self, take: Callable[[bytes], bytes] | None) -> None:
        """From now on ``take`` is given all that arrives, from the console's thread; what it gives
        back is what the console said. None ends that.
        """
        self._tap = take

    def session(self, host: Host, run: str, *, left: bool = False) -> SshSession | None:
        """A session at the root shell that is open here; None where the console shows none."""
        if self._lost or self._tap is not None:
            return None
        if left:
            self.type(ERASE + b"\r")
            self.until([SHELL, IN_USE], ENTERED)
        with self._changed:
            shown = parse("screen", Output(0, Blob.of(self._drawing.shown())))
        if not isinstance(shown, Screen):
            return None
        used = left and IN_USE in shown.line
        return session(self, host.name, run) if shown.state == "shell" or used else None

    # -- typing --------------------------------------------------------------------------------

    def type(self, keys: bytes) -> Ended:
        """Types keys, no faster than a boot loader reads them."""
        if self._lost:
            raise self._gone()
        sent = 0
        try:
            while sent < len(keys):
                sent += self._write(keys[sent : sent + KEYS_AT_ONCE])
                if sent < len(keys):
                    time.sleep(KEYS_PAUSE)
        except (OSError, ValueError) as error:
            self._lost = getattr(error, "strerror", None) or str(error)
            if not sent:
                raise self._gone() from error
            return Ended(-1, 0.0, "lost")
        return Ended(0, 0.0)

    def send(self, data: bytes, at_once: int, pause: float) -> None:
        """Types for a session that has the console: ``at_once`` bytes, a pause, and so on. Raises
        ConsoleUnreachable.
        """
        sent = 0
        try:
            while not self._lost and sent < len(data):
                sent += self._write(data[sent : sent + at_once])
                if sent < len(data):
                    time.sleep(pause)
        except (OSError, ValueError) as error:
            self._lost = getattr(error, "strerror", None) or str(error)
        if self._lost:
            raise self._gone()

    def _write(self, data: bytes) -> int:
        """Writes unless the line is closed, since its descriptor may be another file's by then."""
        with self._typing:
            if self._closing:
                raise OSError(CLOSED)
            return self._line.write(data)

    def type_secret(self, name: str) -> Ended:
        """Sends the secret of that name."""
        if self._secret is None:
            raise ConsoleUnreachable(f"There is no secret {name} for a console.")
        return self.type(self._secret(name))

    def _gone(self) -> ConsoleUnreachable:
        return ConsoleUnreachable(
            f"The console ({self.how}) is cut off: {self._lost}.",
            still_true="Nothing was typed. The host goes on as it was.",
            next_step="The next look attaches it again.",
        )

    def stop(self) -> None:
        """Ends a look. For another thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def close(self) -> None:
        """Detaches. Later typing raises ConsoleUnreachable."""
        self._closing = True
        self.stop()
        self._thread.join(5 * IDLE)
        with self._typing:
            self._line.close()
        self._thread.join()

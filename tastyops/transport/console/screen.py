"""The terminal of a console: its rows, and which of them are highlighted.

A boot menu is drawn with cursor movements, and only what changed is drawn again; so it can be
read from a terminal's memory alone. pyte is that terminal.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import re

COLUMNS, ROWS = 80, 24
"""The terminal size that GRUB and the kernel's serial console assume."""

LAST_LINES, MOST_LAST = 3, 1024
"""The most recent lines that are kept, without blank ones, and their bytes."""

MOST_TEXT = 64 * 1024
"""Bytes of text that one look returns: the last ones."""

_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]"
    r"|[\x00-\x07\x0b\x0e-\x1a\x1c-\x1f\x7f]"
)
"""ECMA-48: control sequences, OSC strings, other escapes, and what cannot be printed."""


def plain(text: str) -> str:
    """Text without control sequences and with uniform line ends."""
    kept = _CONTROL.sub("", text)
    while "\b" in kept and (fewer := re.sub(r"[^\b\n]\x08", "", kept)) != kept:
        kept = fewer
    return re.sub(r"\r*\n\r*|\r+", "\n", kept.replace("\b", ""))


class Drawing:
    """Takes a console's bytes; keeps the text since the last look, and the screen."""

    def __init__(self) -> None:
        # Loaded on use: runs without a console would spend a tenth of their start on the terminal.
        import pyte

        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._heard = 0
        self._text = self._last = ""

    def feed(self, data: bytes) -> None:
        """Some bytes, in order."""
        text = self._decoder.decode(data)
        self._heard += len(data)
        self._text = (self._text + text)[-MOST_TEXT:]
        self._last = (self._last + text)[-MOST_LAST:]
        with contextlib.suppress(Exception):  # no bytes a host sends may end its being drained
            self._stream.feed(text)

    @property
    def heard(self) -> int:
        """Bytes since the last look."""
        return self._heard

    @property
    def text(self) -> str:
        """The text since the last look, without control sequences."""
        return plain(self._text)

    def look(self) -> bytes:
        """The answer to a look (``facts.console_screen``). The next look begins here."""
        answer = self.shown()
        self._heard, self._text = 0, ""
        return answer

    def shown(self) -> bytes:
        """The answer to a look. The next look returns this text too."""
        rows = [row.rstrip() for row in self._screen.display]
        drawn = self._screen.buffer.items()
        marked = sorted(y for y, row in drawn if any(cell.reverse for cell in row.values()))
        at = self._screen.cursor.y
        said = [line.strip() for line in plain(self._last).split("\n")]
        answer = {
            "heard": self._heard, "text": self.text, "rows": rows, "marked": marked, "cursor": at,
            "last": [line for line in said if line][-LAST_LINES:],
        }  # fmt: skip
        return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")

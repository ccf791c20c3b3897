"""GRUB's editor of one boot entry, as GRUB draws it on a serial terminal."""

from __future__ import annotations

DOWN, UP = (b"\x0e", b"\x1b[B"), (b"\x10", b"\x1b[A")
START_OF_LINE, END_OF_LINE, ERASE = (b"\x01", b"\x1b[H"), (b"\x05",), (b"\x7f", b"\x08")
BOOT, ESCAPE = (b"\x18",), (b"\x1b",)

_TOP, _ROWS, _WIDE = 5, 14, 76


class Editor:
    """The entry's lines, and where the cursor is in them."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = [line.expandtabs(8) for line in lines]
        self._row = self._column = 0

    def press(self, key: bytes) -> None:
        """A key that moves the cursor, or changes the line it is in."""
        line = self.lines[self._row]
        if key in DOWN or key in UP:
            self._row = max(0, min(len(self.lines) - 1, self._row + (1 if key in DOWN else -1)))
            self._column = min(self._column, len(self.lines[self._row]))
        elif key in START_OF_LINE:
            self._column = 0
        elif key in END_OF_LINE:
            self._column = len(line)
        elif key in ERASE and self._column:
            self.lines[self._row] = line[: self._column - 1] + line[self._column :]
            self._column -= 1
        elif len(key) == 1 and 32 <= key[0] < 127:
            self.lines[self._row] = line[: self._column] + key.decode() + line[self._column :]
            self._column += 1

    @property
    def kernel_line(self) -> list[str]:
        """The words of the line that starts the kernel."""
        found = (line.split() for line in self.lines if line.split()[:1] == ["linux"])
        return next(found, [])

    def draw(self) -> bytes:
        """The whole screen; a line that is too long goes on in the next row after a backslash."""
        rows: list[str] = []
        cursor = (0, 0)
        for number, line in enumerate(self.lines):
            pieces = [line[at : at + _WIDE - 1] for at in range(0, len(line) or 1, _WIDE - 1)]
            if number == self._row:
                piece = min(self._column // (_WIDE - 1), len(pieces) - 1)
                cursor = (len(rows) + piece, self._column - piece * (_WIDE - 1))
            rows += [f"{piece}\\" for piece in pieces[:-1]] + pieces[-1:]
        first = max(0, cursor[0] - _ROWS + 3)
        border = "+" + "-" * _WIDE + "+"
        parts = ["\x1b[m\x1b[H\x1b[J\x1b[2;24HGNU GRUB  version 2.06-13+deb12u1"]
        parts.append(f"\x1b[{_TOP - 1};2H{border}")
        for place in range(_ROWS):
            text = rows[first + place] if first + place < len(rows) else ""
            parts.append(f"\x1b[{_TOP + place};2H|{text.ljust(_WIDE)[:_WIDE]}|")
        parts.append(f"\x1b[{_TOP + _ROWS};2H{border}\x1b[{_TOP + _ROWS + 2};1H")
        parts.append("   Minimum Emacs-like screen editing is supported. Ctrl-x boots. (practice)")
        parts.append(f"\x1b[{_TOP + cursor[0] - first};{3 + cursor[1]}H")
        return "".join(parts).encode()

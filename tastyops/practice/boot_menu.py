"""GRUB's menu on the modelled machine's console: drawn as GRUB draws it on a serial terminal."""

from __future__ import annotations

from collections.abc import Sequence

from tastyops.practice import boot_editing
from tastyops.practice.boot_editing import Editor
from tastyops.practice.grub_cfg import ADVANCED_TITLE, Entry, edited

UP, DOWN, HOME = (b"\x10", b"\x1b[A"), (b"\x0e", b"\x1b[B"), (b"\x01", b"\x1b[H")
"""GRUB's keys: Emacs' own, and an arrow's three bytes."""

ENTER, ESCAPE = (b"\r", b"\n"), (b"\x1b",)
EDIT = b"e"
_TOP, _ROWS, _WIDE = 5, 12, 76


class BootMenu:
    """The menu as it stands. ``saved`` is what would be started by itself."""

    def __init__(self, entries: Sequence[Entry], saved: Entry) -> None:
        self._entries = entries
        self._inside = False
        self._saved = saved
        self._at = 0
        self.held = False
        """Whether a key was pressed: then nothing starts by itself any more."""
        self._editor: Editor | None = None
        self.words: list[str] = []
        """The kernel's command line of what is started, where it was edited."""
        if saved.submenu:
            self._at = len(self._level()) - 1  # the submenu stands last

    def _level(self) -> list[Entry | None]:
        """What can be chosen here; None is the submenu."""
        if self._inside:
            return [entry for entry in self._entries if entry.submenu]
        top: list[Entry | None] = [entry for entry in self._entries if not entry.submenu]
        return [*top, None] if any(entry.submenu for entry in self._entries) else top

    def press(self, key: bytes) -> Entry | None:
        """Takes a key; gives the entry that is to be started, if one is."""
        self.held = True
        if self._editor is not None:
            return self._edited(self._editor, key)
        level = self._level()
        if key in UP:
            self._at = max(0, self._at - 1)
        elif key in DOWN:
            self._at = min(len(level) - 1, self._at + 1)
        elif key in HOME:
            self._at = 0
        elif key in ESCAPE and self._inside:
            self._inside, self._at = False, len([e for e in self._entries if not e.submenu])
        elif key in ENTER:
            chosen = level[self._at]
            if chosen is not None:
                return chosen
            self._inside = True
            self._at = max(0, self._where_saved())
        elif key == EDIT and (chosen := level[self._at]) is not None:
            self._editor = Editor(edited(chosen))
        return None

    def _where_saved(self) -> int:
        """Where in the submenu what would be started by itself stands; -1 if it does not."""
        return next((n for n, entry in enumerate(self._level()) if entry == self._saved), -1)

    def _edited(self, editor: Editor, key: bytes) -> Entry | None:
        if key in boot_editing.ESCAPE:
            self._editor = None
        elif key in boot_editing.BOOT:
            self.words = editor.kernel_line
            return self._level()[self._at]
        else:
            editor.press(key)
        return None

    def draw(self) -> bytes:
        """The whole screen."""
        if self._editor is not None:
            return self._editor.draw()
        border = "+" + "-" * _WIDE + "+"
        parts = ["\x1b[m\x1b[H\x1b[J\x1b[2;24HGNU GRUB  version 2.06-13+deb12u1"]
        parts.append(f"\x1b[{_TOP - 1};2H{border}")
        for row in range(_ROWS):
            parts.append(self._row(row))
        parts.append(f"\x1b[m\x1b[{_TOP + _ROWS};2H{border}\x1b[{_TOP + _ROWS + 2};1H")
        parts.append("     Use the ^ and v keys to select which entry is highlighted. (practice)")
        return "".join(parts).encode()

    def _row(self, row: int) -> str:
        level = self._level()
        title = ""
        if row < len(level):
            entry = level[row]
            title = ADVANCED_TITLE if entry is None else entry.title
        marked = row == self._at
        text = f"{'*' if marked else ' '}{title}".ljust(_WIDE)[:_WIDE]
        colour = "\x1b[7m" if marked else "\x1b[m"
        return f"\x1b[m\x1b[{_TOP + row};2H|{colour}{text}\x1b[m|"

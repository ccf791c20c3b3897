"""The boot loader: GRUB's menu and its environment block."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from tastyops.probes.reading import Answer, Parsers, Reading, need_ok

BOOT_MENU = Reading(("cat", "/boot/grub/grub.cfg"), "boot_menu")
BOOT_ENVIRONMENT = Reading(("grub-editenv", "/boot/grub/grubenv", "list"), "settings")


_SETUP_BYTES = 32768
"""A bzImage's setup code, at most, in which its version stands (Linux' arch/x86/boot)."""


def image_build(release: str) -> Reading:
    """``uname -v`` of a kernel image in /boot; empty where it cannot be read from it."""
    return Reading(("head", "-c", str(_SETUP_BYTES), f"/boot/vmlinuz-{release}"), "image_build")


@dataclass(frozen=True, slots=True)
class BootEntry:
    """One entry of GRUB's menu. ``path`` leads to it through submenus, by id, ``>`` between."""

    id: str
    title: str
    kernel: str
    path: str
    open: bool = True
    """Whether it starts without a password where the menu has one (``--unrestricted``)."""

    @property
    def release(self) -> str:
        """The kernel release its image is named after."""
        return self.kernel.rpartition("/")[2].removeprefix("vmlinuz-")

    @property
    def recovery(self) -> bool:
        """Whether it is one of grub-mkconfig's entries for single-user mode."""
        return "recovery" in self.title.lower() or "-recovery-" in self.id


@dataclass(frozen=True, slots=True)
class BootMenu:
    """GRUB's menu and what it starts by default: a number, an id, a title, or ``saved``."""

    default: str
    entries: tuple[BootEntry, ...]
    top: tuple[str, ...]
    """Ids of the first level in order, submenus included; a numeric default counts these."""
    hidden: bool = False
    """Whether nobody sees it: a timeout of 0, or a style that waits for a key first."""
    locked: bool = False
    """Whether it has users with passwords: editing an entry wants one."""

    def unpickable(self, entry: BootEntry | None = None, *, words: bool = False) -> str:
        """What keeps an entry from being picked on the console; empty if nothing does.

        ``words`` says that its command line is edited. Another than ``entry`` starts too late.
        """
        if self.hidden:
            return (
                "the boot menu is not shown (in /etc/default/grub: GRUB_TIMEOUT=5,"
                " GRUB_TIMEOUT_STYLE=menu; then update-grub)"
            )
        if self.locked and (words or entry is None or not entry.open):
            return "the boot menu asks for a user name and a password (superusers in grub.cfg)"
        return ""

    def find(self, wanted: str) -> BootEntry | None:
        """The entry a default of GRUB's stands for: number, id, title, or a path of them."""
        wanted = wanted.rpartition(">")[2] if not wanted.isdigit() else wanted
        if wanted.isdigit():
            index = int(wanted)
            wanted = self.top[index] if index < len(self.top) else ""
        inside = [e for e in self.entries if e.path.startswith(f"{wanted}>")]
        named = [e for e in self.entries if wanted in (e.id, e.title)]
        return next(iter(named or inside), None)

    def starting(self, release: str) -> BootEntry | None:
        """The first entry that starts that kernel, recovery entries last."""
        fits = [entry for entry in self.entries if entry.kernel.endswith(f"vmlinuz-{release}")]
        return min(fits, key=lambda entry: entry.recovery, default=None)

    def starts(self, environment: Mapping[str, str]) -> BootEntry | None:
        """What the next boot starts: the one-shot of grubenv before the default."""
        chosen = environment.get("saved_entry") or "0" if self.default == "saved" else self.default
        return self.find(environment.get("next_entry") or chosen)

    def releases(self) -> tuple[str, ...]:
        """The kernels it can start, in its order."""
        return tuple(dict.fromkeys(entry.release for entry in self.entries))


def _settings(answer: Answer) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in need_ok(answer).splitlines() if "=" in line)


def _boot_menu(answer: Answer) -> BootMenu:
    """grub.cfg as grub-mkconfig writes it: one ``menuentry`` or ``submenu`` a line, then ``{``."""
    default, entries, top = "0", [], []
    open_blocks: list[tuple[str, bool] | None] = []
    entry: tuple[str, str] | None = None
    text = need_ok(answer)
    for line in text.splitlines():
        words = _words(line)
        if words[:1] in (["menuentry"], ["submenu"]) and words[-1] == "{":
            title = words[1]
            at = words.index("$menuentry_id_option") + 1 if "$menuentry_id_option" in words else 1
            if not any(open_blocks):
                top.append(words[at])
            entry = (words[at], title) if words[0] == "menuentry" else None
            open_blocks.append((words[at], "--unrestricted" in words))
        elif words[-1:] == ["{"]:
            open_blocks.append(None)
        elif words == ["}"] and open_blocks:
            open_blocks.pop()
            entry = None
        elif words[:1] in (["linux"], ["linuxefi"]) and entry and len(words) > 1:
            blocks = [block for block in open_blocks if block is not None]
            path = ">".join(name for name, _ in blocks)
            unrestricted = all(free for _, free in blocks)
            entries.append(BootEntry(entry[0], entry[1], words[1], path, unrestricted))
        elif words[:1] == ["set"] and len(words) == 2 and words[1].startswith("default="):
            value = words[1].partition("=")[2]
            default = value if value != "${next_entry}" else default
    default = "saved" if default == "${saved_entry}" else default
    return BootMenu(default, tuple(entries), tuple(top), _hidden(text), _locked(text))


_TIMEOUT = re.compile(r"(?m)^\s*set timeout(_style)?=[\"']?([\w-]+)")


def _hidden(text: str) -> bool:
    """Whether the menu is not shown (GRUB's manual, ``timeout`` and ``timeout_style``).

    grub-mkconfig sets the style and then the timeout that goes with it; a timeout it sets before
    is for a boot after one that failed, one after it for a GRUB that knows no styles.
    """
    style, timeout, styled = "menu", "", False
    for name, value in _TIMEOUT.findall(text):
        if name:
            style, styled = value, True
            timeout = ""
        elif not (styled and timeout):
            timeout = value
    return style in ("hidden", "countdown") or timeout == "0"


def _locked(text: str) -> bool:
    """Whether there are superusers (GRUB's manual, Authentication and authorisation)."""
    found = re.search(r"(?m)^\s*set superusers=[\"']?([^\s\"']*)", text)
    return bool(found and found[1])


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return line.split()


def _image_build(answer: Answer) -> str:
    """The kernel's ``RELEASE (who@where) #1 SMP … (date)``, a C string."""
    if answer.status != 0:
        return ""
    found = re.search(r"\d[\w.+~-]* \([^\0)]{1,200}\) (#\d[^\0]{1,200})\0", answer.text)
    return found[1] if found else ""


PARSERS: Parsers = {
    "image_build": _image_build,
    "settings": _settings,
    "boot_menu": _boot_menu,
}

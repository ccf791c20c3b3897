"""The boot loader: GRUB's menu and its environment block."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tastyops.errors import ProbeFailed
from tastyops.facts.grub_script import (
    GRUB_DIRECTORY,
    KERNEL,
    OPTIONS,
    Interpreter,
    Item,
    ScriptState,
    Value,
)
from tastyops.facts.grub_syntax import Block, UnreadableScript, parse_script
from tastyops.facts.readings import Answer, Parsers, Reading, need_ok

BOOT_MENU = Reading(("cat", "/boot/grub/grub.cfg"), "boot_menu")
BOOT_CUSTOM = Reading(("cat", "/boot/grub/custom.cfg"), "boot_custom")
BOOT_ENVIRONMENT = Reading(("grub-editenv", "/boot/grub/grubenv", "list"), "boot_environment")


_SETUP_BYTES = 32768
"""A bzImage's setup code, at most, in which its version stands (Linux' arch/x86/boot)."""


def image_build(release: str) -> Reading:
    """``uname -v`` of a kernel image in /boot; empty where it cannot be read from it."""
    return Reading(("head", "-c", str(_SETUP_BYTES), f"/boot/vmlinuz-{release}"), "image_build")


_SINGLE = frozenset(
    ("single", "s", "S", "1", "-s", "rescue", "emergency", "-b", "rd.rescue", "rd.emergency",
     "rd.break", "systemd.unit=rescue.target", "systemd.unit=emergency.target", "init=/bin/sh",
     "init=/bin/bash")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BootEntry:
    """One entry of GRUB's menu. ``path`` leads to it through submenus, by id, ``>`` between."""

    id: str
    title: str
    kernel: str
    path: str
    open: bool = True
    """Whether it starts without a password where the menu has one (``--unrestricted``)."""
    options: str = ""
    """Its kernel's command line, as far as it is known."""

    @property
    def release(self) -> str:
        """The kernel release its image is named after; empty where it starts no such image."""
        name = self.kernel.rpartition("/")[2]
        found = re.fullmatch(r"vmlinu[xz]-(.+)", name)
        return found[1] if found else ""

    @property
    def recovery(self) -> bool:
        """Whether it starts single-user or emergency mode (kernel-command-line(7))."""
        named = "recovery" in self.title.lower() or "-recovery-" in self.id
        return named or not _SINGLE.isdisjoint(self.options.split())


@dataclass(frozen=True, slots=True)
class Chosen:
    """What GRUB starts if nobody picks an entry; ``why`` it cannot be known where it cannot."""

    entry: BootEntry | None = None
    why: str = ""

    @property
    def release(self) -> str:
        """The kernel it starts; empty where that is not known or no kernel of Linux."""
        return self.entry.release if self.entry else ""

    @property
    def unknown(self) -> str:
        """Why no kernel can be named, empty where one can."""
        if self.entry is not None and not self.release:
            return f"the boot menu starts {self.entry.title!r}, which names no kernel in /boot"
        return self.why

    @property
    def single(self) -> str:
        """What keeps the host from coming back in normal mode, empty where nothing does."""
        if self.entry is None or not self.release or not self.entry.recovery:
            return ""
        title = self.entry.title
        return f"the boot menu starts kernel {self.release} in single-user mode ({title!r})"


@dataclass(frozen=True, slots=True)
class BootEnvironment:
    """GRUB's environment block: ``there`` is False where the host has none."""

    settings: Mapping[str, str]
    there: bool = True


NO_BLOCK = BootEnvironment({}, there=False)


@dataclass(frozen=True, slots=True)
class BootMenu:
    """GRUB's menu: its configuration as a script, and what can be said of every boot."""

    script: Block
    hidden: bool = False
    """Whether nobody sees it: a timeout of 0, or a style that waits for a key first."""
    locked: bool = False
    """Whether it has users with passwords: editing an entry wants one."""
    custom: Block | None = None
    """The administrator's own custom.cfg, which grub-mkconfig's configuration reads."""
    custom_known: bool = False
    asks_custom: bool = False
    """Whether grub.cfg would read a custom.cfg."""

    def with_custom(self, custom: Block | None) -> BootMenu:
        """The same with a custom.cfg; None where there is none."""
        return replace(self, custom=custom, custom_known=True)

    def _run_script(
        self, environment: BootEnvironment | None, *, asking: bool = True
    ) -> tuple[Interpreter, ScriptState]:
        """Run grub.cfg; without ``asking``, a custom.cfg that was not read counts as missing."""
        known = self.custom_known or not asking
        files = {f"{GRUB_DIRECTORY}/custom.cfg": self.custom} if known else {}
        settings = environment.settings if environment else None
        run = Interpreter(settings, files, environment is None or environment.there)
        state = ScriptState()
        run.run(self.script, state)
        return run, state

    @property
    def entries(self) -> tuple[BootEntry, ...]:
        """Every entry that starts a Linux kernel, in order, submenus' included."""
        run, state = self._run_script(BootEnvironment({}), asking=False)
        return tuple(entry for entry in _all(run, state) if entry.kernel)

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

    def starting(self, release: str) -> BootEntry | None:
        """The first entry that starts that kernel, recovery entries last."""
        fits = [entry for entry in self.entries if entry.release == release]
        return min(fits, key=lambda entry: entry.recovery, default=None)

    def chosen(self, environment: BootEnvironment | None) -> Chosen:
        """What the next boot starts; ``environment`` is None where the block cannot be read."""
        run, state = self._run_script(environment)
        if self.asks_custom and not self.custom_known:
            state.forget()
        return _chosen(run, state, state.get("default"), (), True)

    def releases(self) -> tuple[str, ...]:
        """The kernels it can start, in its order."""
        return tuple(dict.fromkeys(e.release for e in self.entries if e.release))


def escaped(name: str) -> str:
    """An id or a title as part of a path, in which a single ``>`` separates."""
    return name.replace(">", ">>")


def _all(
    run: Interpreter, state: ScriptState, path: str = "", unrestricted: bool = True
) -> list[BootEntry]:
    found: list[BootEntry] = []
    for item in state.menu:
        name = item.id if item.id is not None else item.title
        if item.many or name is None:
            continue
        here = f"{path}{escaped(name)}"
        is_open = unrestricted and item.open
        inside = _run_item(run, state, item)
        if item.submenu:
            found += _all(run, inside, f"{here}>", is_open)
        else:
            kernel, options = inside.get(KERNEL) or "", inside.get(OPTIONS) or ""
            found.append(BootEntry(name, item.title or name, kernel, here, is_open, options))
    return found


def _run_item(run: Interpreter, state: ScriptState, item: Item) -> ScriptState:
    """Run the script of an entry or a submenu, and return the state after it."""
    inside = state.submenu_state() if item.submenu else state.copy()
    inside.variables[KERNEL] = inside.variables[OPTIONS] = ""
    for number in range(1, 10):
        given = item.words[number - 1] if number <= len(item.words) else ""
        inside.variables[str(number)] = given
    run.run(item.body, inside)
    return inside


def _chosen(
    run: Interpreter, state: ScriptState, wanted: Value, path: tuple[str, ...], unrestricted: bool
) -> Chosen:
    """One level of the menu (``run_menu`` in GRUB's normal/menu.c), and the submenu it leads to."""
    found = _pick(state.menu, wanted)
    if isinstance(found, str):
        return Chosen(why=found)
    name = found.id if found.id is not None else found.title
    if name is None:
        return Chosen(why="an entry of the boot menu has a name that cannot be known")
    here, is_open = (*path, escaped(name)), unrestricted and found.open
    inside = _run_item(run, state, found)
    if found.submenu:
        return _chosen(run, inside, _rest(wanted or ""), here, is_open)
    kernel = inside.get(KERNEL)
    if kernel is None:
        return Chosen(why=f"which kernel the boot menu's {found.title!r} starts cannot be known")
    options = inside.get(OPTIONS) or ""
    title = found.title or name
    return Chosen(BootEntry(name, title, kernel, ">".join(here), is_open, options))


_UNTOLD = "what the boot menu starts by default cannot be known from its configuration"
_LARGEST = 0xFFFFFFFF
"""Beyond this it depends on GRUB's platform what a number means (``grub_strtoul``, an int)."""


def _pick(menu: Sequence[Item], wanted: Value) -> Item | str:
    """The entry a level starts by default (``get_entry_number``), or why it cannot be known.

    A number comes first, and only its leading digits count. What names no entry is the first one.
    """
    if not menu:
        return "the boot menu has no entries"
    number = _number(wanted) if wanted is not None else None
    if wanted is None or (number is not None and number > _LARGEST):
        return _UNTOLD
    if number is None:
        for item in menu:
            if item.many or item.title is None or item.id is None:
                return _UNTOLD
            if _named(item.title, wanted) or _named(item.id, wanted):
                return item if item.certain else _UNTOLD
        number = 0
    if number >= len(menu) and not any(item.many for item in menu):
        number = 0
    before = menu[: number + 1]
    return before[-1] if len(before) > number and all(i.certain for i in before) else _UNTOLD


_NUMBER = re.compile(r"[ \t\n\v\f\r]*(?:0x([0-9a-fA-F]+)|0([0-7]+)|(?!0x)([0-9]+))")


def _number(text: str) -> int | None:
    """The number a text begins with, as ``grub_strtoull`` reads it; None without a digit."""
    found = _NUMBER.match(text)
    if found is None:
        return None
    for digits, base in zip(found.groups(), (16, 8, 10), strict=True):
        if digits is not None:
            return int(digits, base)
    return None


def _first(wanted: str) -> tuple[str, str]:
    """Splits a default at its first single ``>``: this level's name, and the rest."""
    at = 0
    while (at := wanted.find(">", at)) >= 0:
        if wanted[at + 1 : at + 2] != ">":
            return wanted[:at], wanted[at + 1 :]
        at += 2
    return wanted, ""


def _rest(wanted: str) -> str:
    return _first(wanted)[1]


def _named(name: str, wanted: str) -> bool:
    """Whether a default's first part is this name (``menuentry_eq``)."""
    return _first(wanted)[0].replace(">>", ">") == name


def _settings(answer: Answer) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in need_ok(answer).splitlines() if "=" in line)


def _boot_environment(answer: Answer) -> BootEnvironment:
    """grub-editenv's listing; a host without the file has no environment."""
    if answer.status != 0 and "No such file" in answer.error_text:
        return NO_BLOCK
    return BootEnvironment(_settings(answer))


def _read_script(text: str, what: str) -> Block:
    try:
        return parse_script(text)
    except UnreadableScript as error:
        raise ProbeFailed(f"{what} cannot be understood: {error}") from error


def _boot_menu(answer: Answer) -> BootMenu:
    """grub.cfg, run as GRUB runs it whenever a question is asked of it."""
    text = need_ok(answer)
    script = _read_script(text, "grub.cfg")
    asks = "custom.cfg" in text
    return BootMenu(script, _hidden(text), _locked(text), asks_custom=asks)


def _boot_custom(answer: Answer) -> Block | None:
    if answer.status != 0 and "No such file" in answer.error_text:
        return None
    return _read_script(need_ok(answer), "custom.cfg")


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


def _image_build(answer: Answer) -> str:
    """The kernel's ``RELEASE (who@where) #1 SMP … (date)``, a C string."""
    if answer.status != 0:
        return ""
    found = re.search(r"\d[\w.+~-]* \([^\0)]{1,200}\) (#\d[^\0]{1,200})\0", answer.text)
    return found[1] if found else ""


PARSERS: Parsers = {
    "image_build": _image_build,
    "settings": _settings,
    "boot_environment": _boot_environment,
    "boot_custom": _boot_custom,
    "boot_menu": _boot_menu,
}

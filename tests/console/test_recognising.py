"""States of a console, recognised in bytes that the lab machine's serial console sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.errors import ProbeFailed
from tastyops.facts import console_screen
from tastyops.facts.console_screen import Screen
from tastyops.facts.parsers import parse
from tastyops.model.commands import Blob, Output
from tastyops.transport.console.screen import Drawing

SCREENS = Path(__file__).parent / "screens"
ENTRIES = ("Debian GNU/Linux", "Advanced options for Debian GNU/Linux")
KERNEL = "Debian GNU/Linux, with Linux 6.1.0-{}-cloud-amd64"


def said(name: str) -> bytes:
    return (SCREENS / f"{name}.bin").read_bytes()


def seen(*pieces: bytes) -> Screen:
    """What a look finds after these pieces; each but the last was looked at before."""
    drawing = Drawing()
    for piece in pieces[:-1]:
        drawing.feed(piece)
        drawing.look()
    drawing.feed(pieces[-1])
    found = parse("screen", Output(0, Blob.of(drawing.look())))
    assert isinstance(found, Screen)
    return found


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("boot-menu", "boot-menu"),
        ("grub-prompt", "grub-prompt"),
        ("booting", "booting"),
        ("panic", "panic"),
        ("initramfs", "initramfs"),
        ("rescue", "rescue"),
        ("emergency", "emergency"),
        ("passphrase", "passphrase"),
        ("login", "login"),
        ("password", "password"),
        ("shell", "shell"),
    ],
)
def test_every_state_of_the_lab(name: str, state: str) -> None:
    assert seen(said(name)).state == state


def test_a_passphrase_prompt_that_systemd_has_cleared_in_part() -> None:
    """With a line of its own; it is still the last that was said, until something else is."""
    asked = said("passphrase")
    assert seen(asked).line == "ss TAB for no echo)"
    assert seen(asked, b"").state == "passphrase"
    assert seen(asked, b"\r\n[   99.123456] usb 1-1: new device\r\n").state == "passphrase"
    assert seen(asked, b"\r\n[  OK  ] Started cron.service.\r\n").state == "booting"
    assert seen(asked, b"\r\n[   99.123456] reboot: Restarting system\r\n").state == "booting"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (b"", "silent"),
        (b"grub rescue> ", "grub-rescue"),
        (b"Enter username: ", "grub-password"),
        (b"error: file `/vmlinuz-6' not found.\r\n\r\nPress any key to continue...", "boot-error"),
        (b"Please unlock disk md1_crypt: ", "passphrase"),
        (b"Enter passphrase for /dev/sda2: ", "passphrase"),
        (
            b"Please enter passphrase for disk vg0-home (home): (press TAB for no echo) ",
            "passphrase",
        ),
        (b"Booting from Hard Disk...\r\nNo bootable device.\r\n", "no-boot-device"),
        (b"Press Enter for maintenance\r\n(or press Control-D to continue): ", "maintenance"),
        (b"[  266.814200] reboot: Power down\r\n", "halted"),
        (b"sh-5.2# ", "shell"),
        (b"~ # ", "shell"),
        (b"web1 login: [   99.123456] usb 1-1: new device\r\n", "login"),
        (b"web1 login: \r\n[   99.123456] usb 1-1: new device\r\n", "login"),
        (b"web1 login: \r\n[   99.123456] reboot: Restarting system\r\n", "booting"),
        (b"Command line: root=/dev/md1 ro panic=30\r\n", "booting"),
    ],
)
def test_states_told_from_what_programs_write(text: bytes, state: str) -> None:
    assert seen(text).state == state


def test_the_boot_menus_entries_and_the_highlighted_one() -> None:
    menu = seen(said("boot-menu"))
    assert (menu.entries, menu.chosen) == (ENTRIES, ENTRIES[1])


def test_only_what_changed_is_drawn_again() -> None:
    menu = seen(said("boot-menu"), said("boot-menu-up"))
    assert (menu.state, menu.entries, menu.chosen) == ("boot-menu", ENTRIES, ENTRIES[0])


def test_a_submenu() -> None:
    menu = seen(said("boot-menu"), said("boot-menu-submenu"), said("boot-menu-down"))
    assert menu.chosen == KERNEL.format(55) + " (recovery mode)"
    assert menu.entries == tuple(
        KERNEL.format(number) + mode for number in (55, 54) for mode in ("", " (recovery mode)")
    )


def test_a_machine_that_starts_again_panics_no_more() -> None:
    again = seen(said("panic"), b"\r\n" + said("boot-menu"))
    assert again.state == "boot-menu"
    assert seen(said("panic") + b"SeaBIOS (version 1.16)\r\nBooting from Hard Disk..").state == (
        "booting"
    )


def test_what_stands_there_is_seen_without_being_said_again() -> None:
    login = seen(said("login"), b"")
    assert (login.state, login.heard, login.text) == ("login", 0, "")
    assert seen(said("booting"), b"").state == "silent"


def test_a_look_that_ends_early_knows_what_to_end_for() -> None:
    import re

    for name in ("boot-menu", "grub-prompt", "panic", "initramfs", "rescue", "emergency", "login"):
        drawing = Drawing()
        drawing.feed(said(name))
        assert any(re.search(wanted, drawing.text) for wanted in console_screen.WAITING), name
    drawing = Drawing()
    drawing.feed(said("booting"))
    assert not any(re.search(wanted, drawing.text) for wanted in console_screen.WAITING)


@pytest.mark.parametrize("junk", [b"", b"[]", b'{"rows": 1}', b'{"rows":[],"marked":["x"]}'])
def test_what_is_no_look_is_not_understood(junk: bytes) -> None:
    with pytest.raises(ProbeFailed):
        parse("screen", Output(0, Blob.of(junk)))


def test_no_bytes_end_the_drawing() -> None:
    drawing = Drawing()
    drawing.feed(bytes(range(256)) * 8 + b"\x1b[999999999999;1H\x1b[?x\xff\xfe")
    drawing.feed(b"\r\nkalimdor login: ")
    assert seen(b"\x1b[m\xc3", b"\x28\r\nkalimdor login: ").line == "kalimdor login:"

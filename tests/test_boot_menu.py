"""Whether GRUB's menu can be used: read from what grub-mkconfig writes."""

from __future__ import annotations

import pytest

from tastyops.facts.grub import PARSERS, BootMenu
from tastyops.model.commands import Blob, Output

HEAD = """\
if [ "${recordfail}" = 1 ] ; then
  set timeout=30
else
  if [ x$feature_timeout_style = xy ] ; then
    set timeout_style=%s
    set timeout=%s
  # Fallback normal timeout code in case the timeout_style feature is
  # unavailable.
  else
    set timeout=%s
  fi
fi
"""
"""00_header of GRUB 2.06."""

ENTRIES = """\
menuentry 'Debian GNU/Linux' --class gnu-linux%s $menuentry_id_option 'gnulinux-simple' {
	linux	/vmlinuz-6.1.0-49-amd64 root=/dev/mapper/vg0-root ro
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced' {
	menuentry 'Debian, with Linux 6.1.0-48-amd64' --unrestricted $menuentry_id_option 'older' {
		linux	/vmlinuz-6.1.0-48-amd64 root=/dev/mapper/vg0-root ro
	}
}
"""
USERS = "set superusers=\"admin\"\npassword_pbkdf2 admin grub.pbkdf2.sha512.10000.AB\n"


def menu(text: str) -> BootMenu:
    found = PARSERS["boot_menu"](Output(0, Blob.of(text.encode())))
    assert isinstance(found, BootMenu)
    return found


@pytest.mark.parametrize(
    ("style", "timeout", "otherwise", "hidden"),
    [
        ("menu", "5", "5", False),
        ("menu", "0", "0", True),
        ("menu", "-1", "-1", False),
        ("hidden", "0", "0", True),
        ("hidden", "5", "0", True),
        ("countdown", "5", "5", True),
        ("menu", "5", "0", False),
    ],
)
def test_a_hidden_menu(style: str, timeout: str, otherwise: str, hidden: bool) -> None:
    found = menu(HEAD % (style, timeout, otherwise) + ENTRIES % "")
    assert found.hidden is hidden
    assert bool(found.unpickable(found.entries[0])) is hidden


def test_a_timeout_without_a_style() -> None:
    assert menu("set timeout=0\n").hidden
    assert not menu("set timeout=5\n").hidden
    assert not menu("").hidden


def test_a_password_locks_what_is_not_unrestricted() -> None:
    found = menu(USERS + ENTRIES % " --unrestricted")
    first, inside = found.entries
    assert (first.open, inside.open) == (True, False), "its submenu wants the password too"
    assert found.unpickable(first) == ""
    assert "a user name and a password" in found.unpickable(inside)
    assert "a user name and a password" in found.unpickable(first, words=True)
    assert "a user name and a password" in found.unpickable(menu(USERS + ENTRIES % "").entries[0])


def test_without_users_nothing_is_locked() -> None:
    assert not menu('set superusers=""\n' + ENTRIES % "").locked
    assert menu(ENTRIES % "").unpickable(menu(ENTRIES % "").entries[1], words=True) == ""

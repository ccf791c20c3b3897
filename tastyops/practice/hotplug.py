"""Disks of the modelled machine that come and go: its bays, and blank spares in the cupboard."""

from __future__ import annotations

import re
from collections.abc import Callable

from tastyops.practice.disks import Disk, Disks
from tastyops.practice.mirrors import Mirrors

_OUT = re.compile(r"\b[Tt]ake (?:the )?disk (\S+) out\b")
_IN = re.compile(r"\bput (?:the )?disk (\S+) in\b")


class Hotplug:
    """What the kernel is told of disks, and what hands do to them; ``changed`` is called then."""

    def __init__(self, disks: Disks, mirrors: Mirrors, changed: Callable[[], None]) -> None:
        self._disks, self._mirrors, self._changed = disks, mirrors, changed
        self.unseen: list[Disk] = []
        """In their bays, but the kernel does not have them."""

    def let_go(self, disk: Disk) -> None:
        """``echo 1 > device/delete``: the kernel forgets it; it stays where it is."""
        self._gone(disk)
        self.unseen.append(disk)

    def scan(self) -> None:
        """The kernel looks at every bay."""
        found, self.unseen = self.unseen, []
        for disk in found:
            self._disks.attach(disk)
        if found:
            self._changed()

    def _gone(self, disk: Disk) -> None:
        self._mirrors.throw_out(disk)
        self._disks.detach(disk)
        self._changed()

    def by_hand(self, text: str) -> bool:
        """Does what a manual step's text asks of disks; False for a disk that nobody has."""
        for serial in _OUT.findall(text):
            self._pull(serial.rstrip("."))
        put = [self._put(serial.rstrip(".")) for serial in _IN.findall(text)]
        return all(put)

    def _pull(self, serial: str) -> None:
        """A disk that is not there was pulled before."""
        for disk in [each for each in self._disks if each.serial == serial]:
            self._gone(disk)
        self.unseen = [disk for disk in self.unseen if disk.serial != serial]

    def _put(self, serial: str) -> bool:
        for disk in self._disks.spare:
            if disk.serial == serial:
                self._disks.spare.remove(disk)
                self.unseen.append(disk)
                return True
        return any(disk.serial == serial for disk in (*self._disks, *self.unseen))

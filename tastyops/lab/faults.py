"""Faults on demand, the kind a maintenance meets. ``lab.reset`` is the way back from each."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace

from tastyops.errors import LabFailed, UsageError, did_you_mean
from tastyops.lab import processes, recipe
from tastyops.lab.qmp import Qmp
from tastyops.lab.record import Record

FAIL_SECONDS = 90.0
"""How long md may take to notice; it takes 2."""


HOME_USERS = "serial-getty@ttyS1 user@1000 user@1001"
FREE_HOME = (
    # What a stopped service leaves behind is gone a moment later: so it is tried again.
    f"systemctl stop {HOME_USERS};"
    " timeout 60 sh -c 'until umount /home 2>/dev/null; do sleep 1; done'"
)
"""Unmounts /home; who uses it is sent away first."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What it is called, what it does in one line, and how."""

    name: str
    help: str
    bring: Callable[[Record], None]


def bring(made: Record, name: str) -> Record:
    """Breaks the lab in that way; returns its record, which remembers. Raises LabFailed."""
    fault = BY_NAME.get(name)
    if fault is None:
        raise UsageError(
            f"There is no fault {name!r}.",
            next_step=did_you_mean(name, BY_NAME) or f"Faults: {', '.join(BY_NAME)}.",
        )
    if made.qemu is None:
        raise LabFailed(
            "The lab machine is off.", next_step="`invoke lab.reset` starts a pristine one."
        )
    fault.bring(made)
    broken = replace(made, faults=(*made.faults, name))
    broken.save()
    return broken


def _disk1(made: Record) -> None:
    """Every request to the first disk fails from now on; md throws its members out."""
    disk = recipe.DISKS[0].name
    node = f"bad-{disk}"
    with Qmp(made.machine.qmp) as qmp:
        qmp.ask(
            "blockdev-add", driver="blkdebug", node_name=node, image=disk,
            inject_error=[{"event": "none", "errno": 5}],
        )
        qmp.ask("qom-set", path=f"/machine/peripheral/{disk}", property="drive", value=node)
    write = "for d in / /boot; do touch $d/.lab; sync -f $d; rm -f $d/.lab; sync -f $d; done"

    def noticed() -> bool:
        return made.guest.run(f"{write}; cat /proc/mdstat").count("(F)") >= 2

    if not processes.waited_for(noticed, FAIL_SECONDS, 1.0):
        raise LabFailed("The disk fails, but md did not notice.")


def _initrd(made: Record) -> None:
    """The newest initial ramdisk loses its second half."""
    made.guest.run(
        "set -e; f=$(ls -v /boot/initrd.img-* | tail -n 1);"
        " truncate -s $(($(stat -c %s $f) / 2)) $f; sync -f /boot"
    )


def _array(made: Record) -> None:
    """mdadm.conf and the newest initrd forget the array that root is on, and take no other."""
    made.guest.run(
        # Packed again rather than made again: a minute less on an emulated processor.
        "set -e; new=$(ls -v /boot/initrd.img-* | tail -n 1); work=$(mktemp -d /root/array.XXXX);"
        " unmkinitramfs $new $work; cd $work; test ! -d main || cd main;"
        " for conf in etc/mdadm/mdadm.conf /etc/mdadm/mdadm.conf; do"
        "  sed -i '/^ARRAY .*md1 /d' $conf;"
        # AUTO -all: without it the array would only come back under another name.
        "  echo 'AUTO -all' >> $conf; done;"
        " find . | cpio --quiet -o -H newc -R 0:0 | lz4 -q -l -c > $new.part; mv $new.part $new;"
        " cd /; rm -r $work; sync",
        timeout=600,
    )


def _xfs_home(made: Record) -> None:
    """A counter in the free-space header of /home is wrong; xfs_repair mends it."""
    made.guest.run(
        f"set -e; {FREE_HOME};"
        " free=$(xfs_db -r -c 'agf 0' -c 'p freeblks' /dev/vg0/home | sed 's/.* //');"
        # A little too many: with too few the kernel would not even mount it.
        " xfs_db -x -c 'agf 0' -c \"write -d freeblks $((free + 5))\" /dev/vg0/home >/dev/null;"
        f" mount /home; systemctl start {HOME_USERS}",
        timeout=300,
    )


def _fill_var(made: Record) -> None:
    """Not a block is left on /var."""
    made.guest.run(
        "fallocate -l $(($(df --output=avail -B1 /var | tail -n 1) - 1048576)) /var/lab-fill;"
        " for size in 64k 4k; do sync -f /var;"
        " dd if=/dev/zero of=/var/lab-fill-rest bs=$size oflag=append conv=notrunc 2>/dev/null;"
        " done; sync -f /var;"
        " test $(df --output=avail -B1 /var | tail -n 1) -lt 65536",
        timeout=300,
    )


def _power(made: Record) -> None:
    """The power is cut: no shutdown, no sync."""
    machine = made.qemu
    if machine is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(machine.pid, signal.SIGKILL)
        processes.waited_for(lambda: not machine.alive, 10)


def _console(made: Record) -> None:
    """The serial console says nothing and takes nothing any more."""
    (made.folder / "hung").touch()


def _network(made: Record) -> None:
    """The network cable is pulled."""
    with Qmp(made.machine.qmp) as qmp:
        qmp.ask("set_link", name="net0", up=False)


FAULTS = (
    Fault("disk1", "every request to the first disk fails", _disk1),
    Fault("initrd", "the newest initial ramdisk is truncated", _initrd),
    Fault("array", "the newest initrd does not know the array root is on", _array),
    Fault("xfs-home", "/home is damaged; xfs_repair can mend it", _xfs_home),
    Fault("fill-var", "/var is full", _fill_var),
    Fault("power", "the power is cut", _power),
    Fault("console", "the serial console hangs", _console),
    Fault("network", "the network link is down", _network),
)
BY_NAME = {fault.name: fault for fault in FAULTS}

"""Fault injection: faults a maintenance may meet. ``lab.reset`` undoes each."""

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
"""Seconds md may take to notice a failed disk; 2 are usual."""


HOME_USERS = "serial-getty@ttyS1 user@1000 user@1001"
FREE_HOME = (
    # Processes of a stopped service may live a moment longer, so unmounting is retried.
    f"systemctl stop {HOME_USERS};"
    " timeout 60 sh -c 'until umount /home 2>/dev/null; do sleep 1; done'"
)
"""Unmounts /home after ending the processes that use it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: name, effect in one line, and the function that injects it."""

    name: str
    help: str
    bring: Callable[[Record], None]


def inject(made: Record, name: str) -> Record:
    """Injects a fault; returns the record, which lists it. Raises LabFailed."""
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
    """Makes every request to the first disk fail; md marks its members faulty."""
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

    if not processes.wait_for(noticed, FAIL_SECONDS, 1.0):
        raise LabFailed("The disk fails, but md did not notice.")


def _initrd(made: Record) -> None:
    """Truncates the newest initial ramdisk to its first half."""
    made.guest.run(
        "set -e; f=$(ls -v /boot/initrd.img-* | tail -n 1);"
        " truncate -s $(($(stat -c %s $f) / 2)) $f; sync -f /boot"
    )


def _array(made: Record) -> None:
    """Removes the root's array from mdadm.conf and the newest initrd, which take no other array."""
    made.guest.run(
        # Repacking instead of rebuilding saves a minute on an emulated processor.
        "set -e; new=$(ls -v /boot/initrd.img-* | tail -n 1); work=$(mktemp -d /root/array.XXXX);"
        " unmkinitramfs $new $work; cd $work; test ! -d main || cd main;"
        " for conf in etc/mdadm/mdadm.conf /etc/mdadm/mdadm.conf; do"
        "  sed -i '/^ARRAY .*md1 /d' $conf;"
        # Without AUTO -all the array would be assembled under another name.
        "  echo 'AUTO -all' >> $conf; done;"
        " find . | cpio --quiet -o -H newc -R 0:0 | lz4 -q -l -c > $new.part; mv $new.part $new;"
        " cd /; rm -r $work; sync",
        timeout=600,
    )


def _xfs_home(made: Record) -> None:
    """Falsifies a counter in the free-space header of /home; xfs_repair repairs it."""
    made.guest.run(
        f"set -e; {FREE_HOME};"
        " free=$(xfs_db -r -c 'agf 0' -c 'p freeblks' /dev/vg0/home | sed 's/.* //');"
        # Slightly too high: with too low a value the kernel refuses to mount.
        " xfs_db -x -c 'agf 0' -c \"write -d freeblks $((free + 5))\" /dev/vg0/home >/dev/null;"
        f" mount /home; systemctl start {HOME_USERS}",
        timeout=300,
    )


def _fill_var(made: Record) -> None:
    """Fills /var to the last block."""
    made.guest.run(
        "fallocate -l $(($(df --output=avail -B1 /var | tail -n 1) - 1048576)) /var/lab-fill;"
        " for size in 64k 4k; do sync -f /var;"
        " dd if=/dev/zero of=/var/lab-fill-rest bs=$size oflag=append conv=notrunc 2>/dev/null;"
        " done; sync -f /var;"
        " test $(df --output=avail -B1 /var | tail -n 1) -lt 65536",
        timeout=300,
    )


def _power(made: Record) -> None:
    """Cuts the power: no shutdown, no sync."""
    machine = made.qemu
    if machine is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(machine.pid, signal.SIGKILL)
        processes.wait_for(lambda: not machine.alive, 10)


def _console(made: Record) -> None:
    """Silences the serial console in both directions."""
    (made.folder / "hung").touch()


def _network(made: Record) -> None:
    """Pulls the network cable."""
    with Qmp(made.machine.qmp) as qmp:
        qmp.ask("set_link", name="net0", up=False)


FAULTS = (
    Fault("disk1", "every request to the first disk fails", _disk1),
    Fault("initrd", "the newest initial ramdisk is truncated", _initrd),
    Fault("array", "the newest initrd does not know the array root is on", _array),
    Fault("xfs-home", "/home is damaged; xfs_repair can repair it", _xfs_home),
    Fault("fill-var", "/var is full", _fill_var),
    Fault("power", "the power is cut", _power),
    Fault("console", "the serial console hangs", _console),
    Fault("network", "the network link is down", _network),
)
BY_NAME = {fault.name: fault for fault in FAULTS}

"""Lifecycle of a lab: up, reset, down. Every process started here is ended here, by id."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from tastyops.errors import LabFailed, UsageError
from tastyops.lab import bays, processes, qemu, recipe, record
from tastyops.lab.golden import Golden, Say, build, create, locked
from tastyops.lab.places import cache, state
from tastyops.lab.qmp import Qmp
from tastyops.lab.record import Ports, Record

BOOT_SECONDS = 600.0
"""Seconds from a cold boot to ssh; 40 are usual on two idle cores without KVM."""

ANSWER_SECONDS = 180.0
"""Seconds from a restore to ssh; 2 to 5 are usual. After that a new boot is quicker."""

SETTLE_SECONDS = 300.0
MEMORY_SECONDS = 300.0
START_SECONDS = 60.0
RESTORE_SECONDS = 120.0
SHUTDOWN_SECONDS = 180.0

LONGEST_TMPDIR = 70
"""Bytes of a $TMPDIR that leave room in a socket's address for the lab's directory and sockets."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Snapshot of a booted machine: layers over the golden disks, and its memory."""

    folder: Path

    @property
    def disks(self) -> tuple[Path, ...]:
        """Layers that belong to the memory; they are never written to again."""
        return tuple(drive.path for drive in qemu.pristine(self.folder))

    @property
    def memory(self) -> Path:
        """Memory and device state, in QEMU's migration format."""
        return self.folder / "memory"


def snapshot_for(golden: Golden, accelerator: str) -> Snapshot:
    """Path of the snapshot for these disks, this QEMU version and this accelerator."""
    said = subprocess.run(
        [qemu.PROGRAM, "--version"], capture_output=True, text=True, timeout=20, check=True
    ).stdout.splitlines()[0]
    drives = tuple(replace(drive, path=Path(drive.name)) for drive in qemu.pristine(Path()))
    shape = qemu.Machine(accelerator, drives, Path(), 0, Path(), 0)
    processor = _processor() if accelerator == "kvm" else ""
    # Memory fits only the disks it was saved with; the host key differs with every build.
    parts = (golden.folder.name, golden.host_key, accelerator, processor, said, *shape.arguments())
    return Snapshot(cache() / f"ready-{recipe.digest(*parts)}")


def _processor() -> str:
    """The processor behind ``-cpu host``; memory saved on another one may not run."""
    lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags")))


def up(say: Say, *, cold: bool = False) -> Record:
    """Gives the running lab, or starts one. Raises LabFailed."""
    record.writable()
    with _lock():
        found = record.read()
        if found and running(found):
            broken = f", broken by {', '.join(found.faults)}" if found.faults else ""
            say(f"The lab is up already ({found.began}{broken}).")
            return found
        golden = build(say)
        return _start_fresh(golden, say, cold=cold)


def reset(say: Say, *, cold: bool = False) -> Record:
    """Replaces the lab by a pristine one. Raises LabFailed."""
    record.writable()
    with _lock():
        return _start_fresh(build(say), say, cold=cold)


def change_disks(change: Callable[[Record], Record]) -> Record:
    """Changes the lab's disks, excluding other lab commands. Raises LabFailed."""
    with _lock():
        return change(_recorded_lab())


def boot_from(serial: str, say: Say) -> Record:
    """Shuts the machine down and boots it from one disk alone. Raises LabFailed."""
    with _lock():
        found = _recorded_lab()
        bays.find_drive(found, serial)
        _shut_down(found, say)
        say(f"Booting it from disk {serial} alone …")
        made = bays.keep_only(found, serial)
        _switch_on(made)
        made.guest.wait(BOOT_SECONDS)
        return made


def _recorded_lab() -> Record:
    found = record.read()
    if found is None:
        raise UsageError("The lab is down.", next_step="`invoke lab.up` starts it.")
    return found


def _shut_down(found: Record, say: Say) -> None:
    """Presses the power button, and cuts the power of a machine that does not shut down."""
    machine = found.qemu
    if machine is None:
        return
    with Qmp(found.machine.qmp) as qmp:
        qmp.ask("system_powerdown")
    if not processes.wait_for(lambda: not machine.alive, SHUTDOWN_SECONDS):
        say("It does not shut down; its power is cut.")
        machine.end()


def down(say: Say) -> None:
    """Ends the lab and discards its changes; the built disks stay."""
    record.writable()
    with _lock():
        found = record.read()
        if found is None:
            say("The lab is down.")
            return
        stop(found)
        found.forget()
        say("The lab is down; what was built stays in the cache.")


def running(found: Record) -> bool:
    """Whether machine, hub and power switch all run."""
    helpers = [found.hub, found.bmc]
    return found.qemu is not None and all(each and each.alive for each in helpers)


def stop(found: Record) -> None:
    """Ends every process of a lab that still runs, the machine first."""
    _end(found.qemu)
    _end(found.bmc)
    _end(found.hub)
    _end(found.qemu)  # the switch might have started it again before it was ended itself


def _end(process: processes.Process | None) -> None:
    if process is not None:
        process.end()


def _lock() -> AbstractContextManager[None]:
    return locked(state() / "lock", "another lab command is under way", patience=BOOT_SECONDS)


def _start_fresh(golden: Golden, say: Say, *, cold: bool) -> Record:
    old = record.read()
    _remove_leftovers()
    ports = old.ports if old and old.ports.usable else Ports.free()
    accelerator = golden.accelerator()
    try:
        if cold:
            return _boot_cold(golden, accelerator, ports, say)
        return _restore_or_boot(golden, accelerator, ports, say)
    except BaseException:
        _remove_leftovers()  # half a lab helps nobody
        raise


def _remove_leftovers() -> None:
    left = record.read()
    if left is not None:
        stop(left)
        left.forget()


def _restore_or_boot(golden: Golden, accelerator: str, ports: Ports, say: Say) -> Record:
    """Restores the snapshot; where that fails, boots a new machine."""
    ready = snapshot_for(golden, accelerator)
    if ready.folder.is_dir():
        try:
            return _restore(golden, accelerator, ports, ready)
        except LabFailed as error:
            say(f"The booted machine in the cache cannot be restored ({error}); making another.")
            _remove_leftovers()
            shutil.rmtree(ready.folder)
    with locked(cache() / "ready.lock", "another lab boots", patience=2 * BOOT_SECONDS):
        if not ready.folder.is_dir():
            _snapshot(_boot_cold(golden, accelerator, ports, say), ready, say)
    return _restore(golden, accelerator, ports, ready)


def _boot_cold(golden: Golden, accelerator: str, ports: Ports, say: Say) -> Record:
    say(f"Booting it ({accelerator}; about a minute without KVM) …")
    made = _prepare(golden, accelerator, ports, golden.disks, "cold")
    _switch_on(made)
    made.guest.wait(BOOT_SECONDS)
    made.guest.run("systemctl is-system-running --wait || true", timeout=SETTLE_SECONDS)
    return made


def _restore(golden: Golden, accelerator: str, ports: Ports, ready: Snapshot) -> Record:
    made = _prepare(golden, accelerator, ports, ready.disks, "restored")
    _switch_on(made, "-incoming", "defer")
    with Qmp(made.machine.qmp, timeout=RESTORE_SECONDS) as qmp:
        qmp.ask("migrate-incoming", uri=_file_uri("cat", "<", ready.memory))
        qmp.migrated(MEMORY_SECONDS)
        qmp.ask("cont")
    made.guest.wait(ANSWER_SECONDS)
    made.guest.set_clock()
    return made


def _snapshot(booted: Record, ready: Snapshot, say: Say) -> None:
    """Saves memory and layers of a machine that has just booted, and ends QEMU."""
    say("Keeping the booted machine, to be restored in seconds from now on …")
    # Only sync: dropping caches makes ext4 of Linux 6.1.192 fail (a NULL page in its allocator).
    booted.guest.run("sync", timeout=120)
    part = ready.folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    memory = part / "memory"
    with Qmp(booted.machine.qmp) as qmp:
        qmp.ask("stop")
        qmp.ask("migrate-set-parameters", max_bandwidth=10 << 30)
        qmp.ask("migrate", uri=_file_uri("cat", ">", memory))
        qmp.migrated(MEMORY_SECONDS)
        qmp.ask("quit")
    if not processes.wait_for(lambda: booted.qemu is None, START_SECONDS):
        raise LabFailed("QEMU does not end after its memory was saved.")
    for drive in booted.drives:
        shutil.move(drive.path, part / drive.path.name)
    stop(booted)
    booted.forget()
    part.rename(ready.folder)


def folder_for_sockets() -> Path:
    """Makes a private directory in $TMPDIR, or elsewhere if that path is too long for a socket.

    QEMU refuses a socket path longer than 107 bytes, the limit of an address (unix(7)).
    """
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) > LONGEST_TMPDIR:
        place = "/tmp"  # noqa: S108  mkdtemp makes a private directory there
    return Path(tempfile.mkdtemp(prefix="tastyops-lab-", dir=place))


def _prepare(
    golden: Golden, accelerator: str, ports: Ports, disks: tuple[Path, ...], began: str
) -> Record:
    """Makes layers over the disks, and starts hub and power switch; the machine stays off."""
    folder = folder_for_sockets()
    made = Record(golden, accelerator, folder, ports, began, qemu.pristine(state()))
    made.save()
    for layer, disk in zip(made.drives, disks, strict=True):
        layer.path.unlink(missing_ok=True)
        create(layer.path, backing=disk)
    known_hosts = state() / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{ports.ssh} {golden.host_key}\n")
    made.write_start_script()
    made.switch.write(made.start_script)
    return _start_helpers(made)


def _start_helpers(made: Record) -> Record:
    """Starts the console hub and the power switch."""
    for log in (record.console_log(), record.visitor_log()):
        log.write_bytes(b"")
    hub_log, bmc_log = made.folder / "hub.log", made.folder / "bmc.log"
    hub = processes.start(
        [sys.executable, "-m", "tastyops.lab.hub", str(made.machine.serial), str(made.console),
         str(made.ports.console), str(record.console_log())],
        hub_log,
    )  # fmt: skip
    made = replace(made, hub=hub)
    made.save()
    if not processes.wait_for(lambda: made.console.exists() or not hub.alive, START_SECONDS):
        raise LabFailed("The console hub does not start.")
    bmc = processes.start(made.switch.arguments(), bmc_log)
    made = replace(made, bmc=bmc)
    made.save()
    for helper, log in ((hub, hub_log), (bmc, bmc_log)):
        if not helper.alive:
            raise LabFailed(f"{log.stem} ended at once: {processes.last_words(log)}")
    return made


def _switch_on(made: Record, *more: str) -> None:
    """Starts QEMU, and waits for its pid file and its socket."""
    log = made.folder / "qemu.log"
    process = processes.start([str(made.start_script), *more], log)

    def decided() -> bool:
        on = made.qemu is not None and made.machine.qmp.exists()
        return on or not process.alive

    if not processes.wait_for(decided, START_SECONDS) or made.qemu is None:
        process.end()
        raise LabFailed(f"QEMU does not start: {processes.last_words(log)}")


def _file_uri(program: str, direction: str, path: Path) -> str:
    """QEMU's URI to save or load memory through a shell, with the path quoted."""

    return f"exec:{program} {direction} {shlex.quote(str(path))}"

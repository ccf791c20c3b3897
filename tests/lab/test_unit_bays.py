"""Pulling and inserting disks: what is remembered of them, with a QEMU that only records."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tastyops.errors import LabFailed, UsageError
from tastyops.lab import bays, places, processes, qemu, record
from tastyops.lab.golden import Golden, create
from tastyops.lab.processes import Process
from tastyops.lab.qmp import Qmp
from tastyops.lab.record import Ports, Record


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(bays, "create", lambda path, size: path.write_text(size))
    record.writable()
    folder = tmp_path / "folder"
    folder.mkdir()
    golden = Golden(tmp_path / "golden")
    return Record(golden, "tcg", folder, Ports(1, 2, 3, 4), "cold", qemu.pristine(places.state()))


class Noting:
    """A QEMU that takes every question, or refuses one of them, and notes them."""

    refuses = ""
    heard: list[tuple[str, dict[str, Any]]]

    def __init__(self, _: Path) -> None:
        pass

    def __enter__(self) -> Noting:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def put(self, command: str, arguments: dict[str, Any]) -> Any:
        Noting.heard.append((command, arguments))
        if command == Noting.refuses:
            raise LabFailed(f"QEMU refuses {command}.")
        nodes = [{"node-name": "disk1"}, {"node-name": "bad-disk1"}, {"node-name": "disk2"}]
        return nodes if command == "query-named-block-nodes" else []

    def ask(self, command: str, **arguments: Any) -> Any:
        return self.put(command, arguments)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> type[Noting]:
    monkeypatch.setattr(Record, "qemu", Process(1, 1))
    monkeypatch.setattr(bays, "Qmp", Noting)
    Noting.heard, Noting.refuses = [], ""
    return Noting


def serials(made: Record) -> list[str]:
    return [drive.serial for drive in made.drives if drive.attached]


def script(made: Record) -> str:
    return made.start_script.read_text()


def test_a_pulled_disk_is_remembered_and_not_started_with(made: Record) -> None:
    changed = bays.pull(made, "LAB-DISK-1")
    assert serials(changed) == ["LAB-DISK-2", "LAB-DISK-3"]
    assert record.read() == changed
    assert "LAB-DISK-1" not in script(changed)
    assert "LAB-DISK-2" in script(changed)


def test_a_blank_disk_takes_the_pulled_ones_place(made: Record) -> None:
    changed = bays.insert(bays.pull(made, "LAB-DISK-2"), "LAB-DISK-4", "500M", 4096)
    assert serials(changed) == ["LAB-DISK-1", "LAB-DISK-4", "LAB-DISK-3"]
    assert (places.state() / "disk4.qcow2").read_text() == "500M"
    assert "serial=LAB-DISK-4,bootindex=2,logical_block_size=4096" in script(changed)
    assert record.read() == changed


def test_a_pulled_disk_comes_back_to_its_place(made: Record) -> None:
    changed = bays.insert(bays.pull(made, "LAB-DISK-1"), "LAB-DISK-1")
    assert serials(changed) == ["LAB-DISK-1", "LAB-DISK-2", "LAB-DISK-3"]
    assert changed == made


def test_one_disk_alone(made: Record) -> None:
    changed = bays.keep_only(bays.insert(made, "LAB-DISK-4"), "LAB-DISK-4")
    assert serials(changed) == ["LAB-DISK-4"]
    assert script(changed).count("scsi-hd") == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda made: bays.pull(made, "LAB-DISK-9"), "no disk 'LAB-DISK-9'"),
        (lambda made: bays.pull(bays.pull(made, "LAB-DISK-1"), "LAB-DISK-1"), "out already"),
        (lambda made: bays.insert(made, "LAB-DISK-1"), "is in the machine"),
        (lambda made: bays.insert(bays.pull(made, "LAB-DISK-1"), "LAB-DISK-1", "2G"), "its size"),
        (lambda made: bays.insert(made, "a,b"), "cannot be made"),
        (lambda made: bays.insert(made, "LAB-DISK-4", "4T"), "cannot be made"),
        (lambda made: bays.insert(made, "LAB-DISK-4", "4G", 1000), "cannot be made"),
    ],
)
def test_what_makes_no_sense_is_said(
    made: Record, change: Callable[[Record], Record], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        change(made)


def test_a_running_machine_lets_go_of_the_disk_and_of_the_fault_over_it(
    made: Record, on: type[Noting]
) -> None:
    bays.pull(made, "LAB-DISK-1")
    changes = [(name, said) for name, said in on.heard if not name.startswith("q")]
    assert changes == [
        ("device_del", {"id": "disk1"}),
        ("blockdev-del", {"node_name": "bad-disk1"}),
        ("blockdev-del", {"node_name": "disk1"}),
    ]


def test_a_running_machine_is_given_the_disk(made: Record, on: type[Noting]) -> None:
    bays.insert(made, "LAB-DISK-4", sector=4096)
    (added, node), (plugged, device) = on.heard
    assert (added, node["node-name"]) == ("blockdev-add", "disk4")
    assert (plugged, device["serial"], device["logical_block_size"]) == (
        "device_add", "LAB-DISK-4", 4096,
    )  # fmt: skip
    assert "bootindex" not in device


def test_a_disk_qemu_refuses_is_not_in_the_machine(made: Record, on: type[Noting]) -> None:
    on.refuses = "device_add"
    with pytest.raises(LabFailed):
        bays.insert(made, "LAB-DISK-4")
    assert on.heard[-1] == ("blockdev-del", {"node_name": "disk4"})
    kept = record.read()
    assert kept is not None
    assert serials(kept) == ["LAB-DISK-1", "LAB-DISK-2", "LAB-DISK-3"]
    assert not kept.drives[-1].attached


def test_disks_are_only_left_alone_while_the_machine_is_off(
    made: Record, on: type[Noting]
) -> None:
    with pytest.raises(LabFailed, match="is on"):
        bays.keep_only(made, "LAB-DISK-1")
    assert replace(made) == made


# -- QEMU itself, without a guest: it is paused before its first instruction -------------------


@pytest.fixture
def paused(
    made: Record, tmp_path: Path, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Record]:
    if not shutil.which(qemu.PROGRAM):
        pytest.skip("QEMU is not installed")
    monkeypatch.setattr(bays, "create", create)
    made = replace(made, folder=short_path)
    for drive in made.drives:
        create(drive.path, "10M")
    argv = [
        qemu.PROGRAM, "-no-user-config", "-nodefaults", "-display", "none", "-S",
        "-machine", "pc,accel=tcg", "-m", "32", *qemu.drives(made.drives),
        "-pidfile", str(made.machine.pid_file),
        "-qmp", f"unix:{made.machine.qmp},server=on,wait=off",
    ]  # fmt: skip
    process = processes.start(argv, tmp_path / "qemu.log")
    try:
        assert processes.wait_for(lambda: made.qemu is not None, 30)
        assert processes.wait_for(made.machine.qmp.exists, 30)
        yield made
    finally:
        process.end()


def in_qemu(made: Record) -> set[str]:
    with Qmp(made.machine.qmp) as qmp:
        return {each["qdev"] for each in qmp.ask("query-block")}


def test_qemu_gives_and_takes_disks(paused: Record) -> None:
    with Qmp(paused.machine.qmp) as qmp:  # as lab.break disk1 does
        qmp.ask("blockdev-add", driver="blkdebug", node_name="bad-disk1", image="disk1")
        place = "/machine/peripheral/disk1"
        qmp.ask("qom-set", path=place, property="drive", value="bad-disk1")
    changed = bays.pull(paused, "LAB-DISK-1")
    assert in_qemu(changed) == {"disk2", "disk3"}
    changed = bays.insert(changed, "LAB-DISK-4", "20M", 4096)
    changed = bays.insert(changed, "LAB-DISK-1")
    assert in_qemu(changed) == {"disk1", "disk2", "disk3", "disk4"}
    assert record.read() == changed

"""Starting and ending by process id, and the record of what was started."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tastyops.app.inventory import load_inventory
from tastyops.errors import LabFailed
from tastyops.lab import inventory as known
from tastyops.lab import lifecycle, places, processes, qemu, record
from tastyops.lab.golden import Golden, locked
from tastyops.lab.processes import Process
from tastyops.lab.qemu import pristine
from tastyops.lab.qmp import Qmp
from tastyops.lab.record import RECORD, Ports, Record
from tastyops.runbook.inventory_file import read_inventory
from tests.unix_sockets import path_of


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


@pytest.fixture
def made(tmp_path: Path) -> Record:
    golden = Golden(tmp_path / "golden")
    golden.folder.mkdir()
    (golden.folder / "host_key.pub").write_text("ssh-ed25519 AAAA root@kalimdor\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    record.writable()
    return Record(golden, "tcg", folder, Ports.free(), "cold", qemu.pristine(places.state()))


def sleeper(tmp_path: Path) -> Process:
    return processes.start(["sleep", "600"], tmp_path / "log")


# -- processes ---------------------------------------------------------------------------------


def test_a_process_is_started_and_ended(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    assert process.alive
    assert os.getsid(process.pid) == process.pid
    process.end()
    assert not process.alive
    process.end()


def test_one_that_will_not_go_is_made_to(tmp_path: Path) -> None:
    process = processes.start(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], tmp_path / "log"
    )
    assert processes.wait_for(lambda: (tmp_path / "log").read_text() == "ready\n", 10)
    process.end(patience=0.3)
    assert not process.alive


def test_another_process_with_the_same_id_is_left_alone(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    try:
        other = Process(process.pid, process.started - 1)
        assert not other.alive
        other.end()
        assert process.alive
    finally:
        process.end()


def test_a_pid_file_counts_only_with_its_mark(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    try:
        file = tmp_path / "pid"
        assert processes.from_file(file, "sleep") is None
        file.write_text(f"{process.pid}\n")
        # Right after exec the command line may still be empty.
        assert processes.wait_for(lambda: processes.from_file(file, "600") == process, 10)
        assert processes.from_file(file, "another") is None
        file.write_text("nonsense")
        assert processes.from_file(file, "600") is None
    finally:
        process.end()


def test_a_failure_tells_the_last_words(tmp_path: Path) -> None:
    with pytest.raises(LabFailed, match="status 3: so it is") as caught:
        processes.run_to_end(["sh", "-c", "echo so it is; exit 3"], tmp_path / "log", timeout=20)
    assert str(tmp_path / "log") in caught.value.next_step


def test_nothing_takes_for_ever(tmp_path: Path) -> None:
    with pytest.raises(LabFailed, match=r"longer than 0\.2 seconds"):
        processes.run_to_end(["sleep", "600"], tmp_path / "log", timeout=0.2)
    assert not processes.wait_for(lambda: False, 0.2)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabFailed, match="cannot be started"):
        processes.run_to_end(["no-such-program"], tmp_path / "log", timeout=5)


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock", "somebody else", patience=0),
        pytest.raises(LabFailed, match="somebody else"),
        locked(tmp_path / "lock", "somebody else", patience=0.2),
    ):
        pass
    with locked(tmp_path / "lock", "nobody", patience=0):
        pass


# -- the record --------------------------------------------------------------------------------


def test_ports_are_four_different_ones() -> None:
    ports = Ports.free()
    assert len({ports.ssh, ports.console, ports.machine, ports.lan}) == 4
    assert ports.usable
    with socket.create_server(("127.0.0.1", ports.console)):
        assert not ports.usable


def test_a_record_is_read_as_it_was_written(made: Record, tmp_path: Path) -> None:
    assert record.read() is None
    full = replace(made, hub=Process(5, 6), bmc=Process(7, 8), faults=("disk1", "power"))
    full.save()
    assert record.read() == full
    full.forget()
    assert record.read() is None
    assert not full.folder.exists()


def test_a_record_of_an_older_tastyops_is_read_so_that_its_lab_can_be_ended(made: Record) -> None:
    made.save()
    path = record.writable() / "record.json"
    plain = json.loads(path.read_text())
    del plain["drives"]
    path.write_text(json.dumps(plain))
    read = record.read()
    assert read
    assert read.folder == made.folder
    assert read.drives == pristine(path.parent)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"golden": 3}', "\0"])
def test_a_damaged_record_is_none(made: Record, text: str) -> None:
    (record.writable() / "record.json").write_text(text)
    assert record.read() is None


def test_a_lab_of_dead_processes_does_not_run(made: Record) -> None:
    assert not lifecycle.running(made)
    dead = replace(made, hub=Process(1, 0), bmc=Process(1, 0))
    assert not lifecycle.running(dead)
    lifecycle.stop(dead)


def test_a_crashed_lab_is_cleaned_up_and_a_running_one_found(
    made: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helpers = [sleeper(tmp_path), sleeper(tmp_path)]
    crashed = replace(made, hub=helpers[0], bmc=helpers[1])
    crashed.save()
    monkeypatch.setattr(lifecycle, "build", lambda say: made.golden)
    monkeypatch.setattr(Golden, "accelerator", lambda self: "tcg")
    fresh = replace(made, folder=tmp_path / "fresh")
    begun: list[Ports] = []
    monkeypatch.setattr(
        lifecycle, "_boot_cold", lambda golden, accelerator, ports, say: begun.append(ports) or fresh
    )
    assert lifecycle.up(lambda _: None, cold=True) == fresh  # hub and switch run, the machine does not
    assert not any(helper.alive for helper in helpers)
    assert begun == [made.ports]  # so that the inventory stays true
    monkeypatch.setattr(lifecycle, "running", lambda found: True)
    fresh.save()
    said: list[str] = []
    assert lifecycle.up(said.append, cold=True) == fresh
    assert "already" in said[0]
    assert begun == [made.ports]


def test_half_a_lab_is_not_left_behind(
    made: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = sleeper(tmp_path)

    def fails(*_: object) -> Record:
        replace(made, hub=helper).save()
        raise LabFailed("it did not boot")

    monkeypatch.setattr(lifecycle, "build", lambda say: made.golden)
    monkeypatch.setattr(Golden, "accelerator", lambda self: "tcg")
    monkeypatch.setattr(lifecycle, "_boot_cold", fails)
    with pytest.raises(LabFailed, match="did not boot"):
        lifecycle.reset(lambda _: None, cold=True)
    assert not helper.alive
    assert record.read() is None


def test_a_booted_machine_that_cannot_be_restored_is_made_again(
    made: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = lifecycle.Snapshot(tmp_path / "ready")
    ready.folder.mkdir()
    (tmp_path / "cache/tastyops/lab").mkdir(parents=True)
    done: list[str] = []

    def restored(*_: object) -> Record:
        done.append("restore")
        if done == ["restore"]:
            raise LabFailed("short read")
        return made

    monkeypatch.setattr(lifecycle, "build", lambda say: made.golden)
    monkeypatch.setattr(Golden, "accelerator", lambda self: "tcg")
    monkeypatch.setattr(lifecycle, "snapshot_for", lambda *_: ready)
    monkeypatch.setattr(lifecycle, "_restore", restored)
    monkeypatch.setattr(lifecycle, "_boot_cold", lambda *_: done.append("boot") or made)
    monkeypatch.setattr(lifecycle, "_snapshot", lambda *_: done.append("put aside"))
    said: list[str] = []
    assert lifecycle.up(said.append) == made
    assert done == ["restore", "boot", "put aside", "restore"]
    assert "short read" in said[0]
    assert not ready.folder.exists()


def test_the_inventory_is_one_that_tastyops_takes(made: Record, tmp_path: Path) -> None:
    path = known.write(made, tmp_path / "inventories")
    inventory = read_inventory(path.read_bytes(), str(path))
    (host,) = inventory.hosts.values()
    assert (host.name, host.address, host.user) == ("kalimdor", "127.0.0.1", "ops")
    assert host.port == made.ports.ssh
    assert host.practice
    assert host.sudo is True
    assert host.known_hosts
    assert host.console
    assert host.power
    assert set(host.power.commands) == set(known.POWER_WORDS)
    assert Path(inventory.runs).is_absolute()


def test_two_labs_of_one_user_do_not_overwrite_each_others_inventory(
    made: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a state directory of its own (XDG_STATE_HOME); the known inventories are shared."""
    inventories = tmp_path / "config/tastyops/inventories"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    def up(name: str, port: int) -> Path:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))
        places.state().mkdir(parents=True, exist_ok=True)
        (places.state() / RECORD).touch()
        return known.write(replace(made, ports=replace(made.ports, ssh=port)), inventories)

    def port(name: str) -> int | None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))
        (host,) = load_inventory("lab").hosts.values()
        return host.port

    assert up("one", 20001) == inventories / "lab.yml"
    assert up("two", 20002) == tmp_path / "two/tastyops/lab/inventory.yml"
    assert (port("one"), port("two"), port("none")) == (20001, 20002, 20001)
    assert up("one", 20003) == inventories / "lab.yml"
    assert (port("one"), port("two")) == (20003, 20002)
    (tmp_path / "one/tastyops/lab" / RECORD).unlink()  # it is down
    assert up("two", 20004) == inventories / "lab.yml"
    assert (port("two"), port("none")) == (20004, 20004)


# -- QEMU's protocol ---------------------------------------------------------------------------


def answering(path: Path, *answers: object) -> threading.Thread:
    """A stand-in for QEMU: greets, then gives one answer to each question."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        link, _ = server.accept()
        with server, link, link.makefile("rb") as questions:
            link.sendall(b'{"QMP": {}}\n')
            for answer in ({"return": {}}, *answers):
                questions.readline()
                link.sendall(b'{"event": "RESUME"}\n' + json.dumps(answer).encode() + b"\n")
            questions.readline()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def test_qemu_is_asked_and_its_events_passed_over(short_path: Path) -> None:
    thread = answering(
        short_path / "qmp", {"return": {"status": "running"}}, {"error": {"desc": "no such disk"}},
        {"return": {"status": "active"}}, {"return": {"status": "completed"}},
        {"return": {"status": "failed", "error-desc": "short read"}},
    )  # fmt: skip
    with Qmp(short_path / "qmp", timeout=20) as qmp:
        assert qmp.ask("query-status") == {"status": "running"}
        with pytest.raises(LabFailed, match="no such disk"):
            qmp.ask("blockdev-add", node_name="x")
        qmp.migrated(20)
        with pytest.raises(LabFailed, match="short read"):
            qmp.migrated(20)
    thread.join(20)


def test_a_silent_qemu_is_not_waited_for_long(short_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short_path / "qmp"))
        server.listen()
        with pytest.raises(LabFailed, match="does not answer"):
            Qmp(short_path / "qmp", timeout=0.3)
    with pytest.raises(LabFailed, match="does not answer"):
        Qmp(short_path / "nothing")


@pytest.mark.parametrize("size", [40, 70, 71, 85, 104, 108, 200, 1000])
def test_the_lab_has_room_for_its_sockets_whatever_tmpdir_is(
    short_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    place = path_of(short_path, size, "tmp")
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    folder = lifecycle.folder_for_sockets()
    try:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.is_relative_to(place) == (size <= lifecycle.LONGEST_TMPDIR)
        for name in ("console", "serial", "qmp"):
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(folder / name))
    finally:
        shutil.rmtree(folder)


def test_both_programs_know_the_lab(tmp_path: Path) -> None:
    tasks = Path(__file__).parents[2]
    for program in (["invoke"], ["tastyops"]):
        command = [str(Path(sys.executable).with_name(program[0])), "lab.break", "--help"]
        said = subprocess.run(command, cwd=tasks, capture_output=True, text=True, timeout=60)
        assert said.returncode == 0, said.stderr
        assert "fill-var" in said.stdout

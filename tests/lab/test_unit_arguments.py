"""Command lines and configuration files of the lab, made without QEMU."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tastyops.errors import LabFailed, UsageError
from tastyops.lab import golden, qemu, recipe
from tastyops.lab.golden import create
from tastyops.lab.needs import TO_BUILD, TO_RUN, ensure_installed, install_command, missing
from tastyops.lab.record import PASSWORD, Bmc

LAB = Path(qemu.__file__).parent


def machine(folder: Path = Path("/run/lab"), accelerator: str = "tcg") -> qemu.Machine:
    return qemu.Machine(accelerator, qemu.pristine(folder), folder, 40022, folder / "visitor.log", 40023)


def option(words: list[str], name: str) -> list[str]:
    return [after for word, after in pairwise(words) if word == name]


def test_it_listens_on_loopback_only_and_reaches_nothing() -> None:
    words = machine().arguments()
    (net,) = option(words, "-netdev")
    assert "restrict=on" in net
    assert re.findall(r"hostfwd=(\S+)", net) == ["tcp:127.0.0.1:40022-:22"]
    hosts = re.findall(r"host=([^,]+)", " ".join(words))
    assert hosts == ["127.0.0.1"]
    assert option(words, "-display") == ["none"]
    assert "-nodefaults" in words
    assert "-vnc" not in words


def test_each_disk_has_its_serial_and_its_place_in_the_boot_order() -> None:
    devices = [word for word in option(machine().arguments(), "-device") if "scsi-hd" in word]
    for number, (disk, device) in enumerate(zip(recipe.DISKS, devices, strict=True), 1):
        fields = dict(part.partition("=")[::2] for part in device.split(","))
        assert fields["id"] == fields["drive"] == disk.name
        assert fields["serial"] == disk.serial
        assert fields["bootindex"] == f"{number}"


def test_a_pulled_disk_is_left_out_and_a_4kn_disk_says_so() -> None:
    first, second, third = qemu.pristine(Path("/run/lab"))
    new = qemu.Drive("disk4", "LAB-DISK-4", Path("/run/lab/disk4.qcow2"), 4096)
    drives = (new, replace(first, attached=False), second, third)
    words = replace(machine(), drives=drives).arguments()
    devices = [word for word in option(words, "-device") if "scsi-hd" in word]
    assert [
        re.search(r"serial=([^,]+)", device)[1] for device in devices  # type: ignore[index]
    ] == ["LAB-DISK-4", "LAB-DISK-2", "LAB-DISK-3"]
    assert "logical_block_size=4096,physical_block_size=4096" in devices[0]
    assert "block_size" not in devices[1]
    assert len([word for word in option(words, "-blockdev") if "qcow2" in word]) == 3


def test_a_comma_in_a_path_is_doubled() -> None:
    words = machine(Path("/a,b"))
    assert "file.filename=/a,,b/disk1.qcow2" in " ".join(words.arguments())
    assert "path=/a,,b/serial" in " ".join(words.arguments())


def test_the_start_script_says_the_same_and_takes_more() -> None:
    wanted = machine(Path("/with space/it's"))
    first, second = wanted.script().splitlines()
    assert first == "#!/bin/sh"
    assert shlex.split(second) == ["exec", *wanted.arguments(), "$@"]


def test_the_accelerator_decides_the_processor() -> None:
    assert option(machine(accelerator="kvm").arguments(), "-cpu") == ["host"]
    assert option(machine().arguments(), "-accel") == ["tcg,thread=multi,tb-size=512"]


def test_the_builder_starts_the_installer_and_has_no_network() -> None:
    disks = machine().drives
    words = qemu.builder("tcg", disks, Path("b.ext4"), Path("vmlinuz"), Path("initrd"))
    assert "init=/sbin/lab-install" in option(words, "-append")[0]
    assert "-no-reboot" in words
    assert "-netdev" not in words
    assert sum("scsi-hd" in word for word in words) == len(disks) + 1


def test_the_switch_listens_on_loopback_and_starts_the_script() -> None:
    switch = Bmc(Path("/run/lab"), Path("/state/secret"), 40001, 40002, 40003)
    text = switch.configuration(Path("/run/lab/start"))
    assert "addr 127.0.0.1 40001" in text
    assert "serial 15 127.0.0.1 40002 codec VM" in text
    assert 'sol "telnet:127.0.0.1:40003"' in text
    assert 'startcmd "/run/lab/start"' in text
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", text)) == {"127.0.0.1"}


def test_no_password_stands_on_a_command_line() -> None:
    switch = Bmc(Path("/run/lab"), Path("/state/a secret"), 40001, 40002, 40003)
    line = switch.command("chassis", "power", "status")
    assert PASSWORD not in line
    assert shlex.split(line)[-5:] == ["-f", "/state/a secret", "chassis", "power", "status"]
    assert "-C 3" in line


def test_the_accelerator_is_tried_once_a_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    monkeypatch.setattr(
        golden, "kernel_boots", lambda name, kernel: tried.append(name) or False
    )
    memory = tmp_path / "there" / "accelerator"
    assert golden.choose_accelerator(tmp_path / "vmlinuz", memory) == "tcg"
    assert golden.choose_accelerator(tmp_path / "vmlinuz", memory) == "tcg"
    assert tried == ["kvm"]
    memory.write_text("another-boot tcg\n")
    assert golden.choose_accelerator(tmp_path / "vmlinuz", memory) == "tcg"
    assert tried == ["kvm", "kvm"]


def test_what_does_not_start_does_not_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not golden.kernel_boots("kvm", tmp_path / "vmlinuz", 5)


def test_what_is_missing_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tastyops.lab.needs._PATH", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin")
    assert missing(building=False) == [need.package for need in TO_RUN]
    packages = [need.package for need in (*TO_RUN, *TO_BUILD)]
    with pytest.raises(UsageError) as caught:
        ensure_installed(lambda _: None, tmp_path / "log", building=True, install=False)
    assert " ".join(install_command(packages)) in caught.value.next_step


def test_a_disk_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "qemu-img"
    program.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(LabFailed, match="no room"):
        create(tmp_path / "disk", "1G")


def test_no_mirror_and_no_address_but_loopback_is_named() -> None:
    for path in LAB.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            text = path.read_text()
            assert not re.search(r"\b(?:https?|ftp)://", text), path
            addresses = set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text))
            assert addresses <= {"127.0.0.1", "127.0.1.1", "10.0.2.15", "10.0.2.2"}, path

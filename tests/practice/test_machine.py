"""The model, command by command: exit statuses and texts a real Debian gives."""

from __future__ import annotations

import json
import threading

import pytest

from tastyops.actions import APT_GET, DPKG_CONFIGURE
from tastyops.facts import grub, system
from tastyops.facts.readings import Reading
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Probe
from tastyops.practice import kalimdor
from tastyops.practice.calls import Call, Input
from tastyops.practice.grub_menu import ADVANCED, ADVANCED_TITLE
from tastyops.practice.machine import Machine
from tastyops.practice.processes import signal_number
from tests.practice.conftest import Make
from tests.practice.driver import Driver, until, up

OLD, NEW = kalimdor.OLD_KERNEL, kalimdor.NEW_KERNEL
OLDER = kalimdor.OLDER_KERNEL
ROOT_UUID = ADVANCED.removeprefix("gnulinux-advanced-")


def run(machine: Machine, *argv: str, stdin: bytes = b"") -> tuple[int, str, str]:
    outcome = machine.execute(argv, stdin)
    return outcome.status, outcome.out.decode(), outcome.err.decode()


def ask(machine: Machine, reading: Reading) -> object:
    return Driver(machine, Facts(host="kalimdor")).perform(Probe(*reading))


def change(machine: Machine, *argv: str) -> None:
    output = Driver(machine, Facts(host="kalimdor")).perform(Change(argv))
    assert output.status == 0, output.error_text


PLAIN = [
    (["true"], 0, "", ""),
    (["false"], 1, "", ""),
    (["/bin/echo", "-n", "a", "b"], 0, "a b", ""),
    (["echo", "a\\nb"], 0, "a\\nb\n", ""),
    (["printf", "%s-%d\\n", "a", "1", "b", "2"], 0, "a-1\nb-2\n", ""),
    (["uname", "-r"], 0, f"{OLD}\n", ""),
    (["uname", "-n"], 0, "kalimdor\n", ""),
    (["uname"], 0, "Linux\n", ""),
    (["uname", "-a"], 0, f"Linux kalimdor {OLD} {kalimdor.BUILDS[OLD]} x86_64 GNU/Linux\n", ""),
    (["hostname"], 0, "kalimdor\n", ""),
    (["hostname", "-f"], 0, "kalimdor.tastycake.net\n", ""),
    (["id", "-u"], 0, "0\n", ""),
    (["id"], 0, "uid=0(root) gid=0(root) groups=0(root)\n", ""),
    (["whoami"], 0, "root\n", ""),
    (["users"], 0, "dwm mark ncm\n", ""),
    (["cat", "/etc/debian_version"], 0, "12.12\n", ""),
    (["cat", "/nonesuch"], 1, "", "cat: /nonesuch: No such file or directory\n"),
    (["cat", "/etc"], 1, "", "cat: /etc: Is a directory\n"),
    (["test", "-s", "/boot/grub/grub.cfg"], 0, "", ""),
    (["[", "a", "=", "b", "]"], 1, "", ""),
    (["test", "2", "-gt", "10"], 1, "", ""),
    (["test", "!", "-e", "/nonesuch"], 0, "", ""),
    (["env", "A=b", "sh", "-c", "echo $A"], 0, "b\n", ""),
    (["seq", "3"], 0, "1\n2\n3\n", ""),
    (["sleep", "soon"], 1, "", "sleep: invalid time interval 'soon'\n"),
    (["setsid", "echo", "x"], 0, "x\n", ""),
    (["sudo", "-n", "--", "id", "-u"], 0, "0\n", ""),
    (["systemctl", "is-active", "apache2"], 0, "active\n", ""),
    (["systemctl", "is-active", "nonesuch"], 3, "inactive\n", ""),
    (["systemctl", "is-system-running"], 0, "running\n", ""),
    (["systemctl", "restart", "bind9"], 0, "", ""),
    (
        ["systemctl", "restart", "nonesuch"],
        5,
        "",
        "Failed to restart nonesuch.service: Unit nonesuch.service not found.\n",
    ),
    (
        ["systemctl", "show", "--property=Id,ActiveState", "--", "exim4.service", "x.service"],
        0,
        "Id=exim4.service\nActiveState=active\n\nId=x.service\nActiveState=inactive\n",
        "",
    ),
    (
        ["dpkg-query", "--show", "--showformat=${Version}\\n", "nonesuch"],
        1,
        "",
        "dpkg-query: no packages found matching nonesuch\n",
    ),
    (
        ["stat", "--printf=%s %n\\n", "--", "/etc/debian_version", "/x"],
        1,
        "6 /etc/debian_version\n",
        "stat: cannot statx '/x': No such file or directory\n",
    ),
]


@pytest.mark.parametrize(("argv", "status", "out", "err"), PLAIN, ids=lambda v: str(v)[:40])
def test_a_program(machine: Machine, argv: list[str], status: int, out: str, err: str) -> None:
    assert run(machine, *argv) == (status, out, err)


UNKNOWN = [
    ["mdadm", "--detail", "/dev/md6"],
    ["/opt/own/tool"],
    ["apt-get", "autoremove"],
    ["apt-get", "--option=Dir=/x", "update"],
    ["systemctl", "daemon-reload"],
    ["uname", "-p"],
    ["busctl", "list"],
    ["cat", f"/boot/vmlinuz-{OLD}"],
    ["date", "-d", "tomorrow"],
    ["stat", "/etc"],
    ["grub-editenv", "create"],
    ["hostname", "other"],
    ["sudo", "-u", "x", "id"],
    ["grep", "a|b", "/etc/fstab"],
    ["kill", "-s", "NONE", "1"],
    ["exit", "3"],
    ["sh"],
]


@pytest.mark.parametrize("argv", UNKNOWN, ids=" ".join)
def test_what_is_not_modelled_is_loud(machine: Machine, argv: list[str]) -> None:
    status, out, err = run(machine, *argv)
    assert status == 127
    assert out == ""
    assert err.startswith("PRACTICE HOST: ")
    assert "not modelled" in err
    assert "lab" in err
    assert "real host" in err


def test_the_host_has_the_practice_time(machine: Machine) -> None:
    now = ask(machine, system.EPOCH)
    assert isinstance(now, int)
    assert abs(now - machine.clock.time()) < 60


def test_boot_id_and_kernel(machine: Machine) -> None:
    assert ask(machine, system.BOOT_ID) == machine.boot.id
    assert ask(machine, system.KERNEL) == system.Kernel(OLD, kalimdor.BUILDS[OLD])
    assert ask(machine, system.HOSTNAME) == "kalimdor"


# -- packages -----------------------------------------------------------------------------------


def test_a_package(machine: Machine) -> None:
    meta = ask(machine, system.package_status("linux-image-amd64"))
    assert meta == system.Package(True, "6.1.170-1", (f"linux-image-{OLD}",))
    for name in (f"linux-image-{NEW}", "nonesuch"):
        assert ask(machine, system.package_status(name)) == system.Package(False, "", ())


def test_apt_names_an_unknown_package(machine: Machine) -> None:
    status, _, err = run(machine, *APT_GET, "install", "nonesuch")
    assert (status, err) == (100, "E: Unable to locate package nonesuch\n")


def test_apt_says_what_is_the_newest(machine: Machine) -> None:
    status, out, _ = run(machine, *APT_GET, "install", "xfsprogs")
    assert status == 0
    assert "xfsprogs is already the newest version (6.1.0-1)." in out
    assert "0 upgraded, 0 newly installed" in out


def test_a_simulation_changes_nothing(machine: Machine) -> None:
    status, out, _ = run(machine, *APT_GET, "--simulate", "install", "linux-image-amd64")
    assert status == 0
    assert f"Inst linux-image-{NEW} (6.1.174-1" in out
    assert not run(machine, "ls", f"/boot/vmlinuz-{NEW}")[1]


def test_update_and_upgrade(machine: Machine) -> None:
    assert "Hit:1 http://deb.practice.example" in run(machine, *APT_GET, "update")[1]
    assert run(machine, *APT_GET, "upgrade")[0] == 0
    bind = ask(machine, system.package_status("bind9"))
    assert isinstance(bind, system.Package)
    assert bind.version == "1:9.18.41-1~deb12u1"


def test_a_kernel_takes_its_time_and_brings_its_files(machine: Machine) -> None:
    begun = machine.clock.time()
    change(machine, *APT_GET, "--no-remove", "install", "linux-image-amd64")
    assert 90 <= machine.clock.time() - begun <= 130
    sizes = ask(machine, system.file_sizes(f"/boot/vmlinuz-{NEW}", f"/boot/initrd.img-{NEW}", "/x"))
    assert isinstance(sizes, dict)
    assert all(size > 1_000_000 for size in sizes.values())
    assert len(sizes) == 2


def test_an_installation_that_was_killed_is_finished_by_the_next(make: Make) -> None:
    machine = make(scale=600.0)
    seen = bytearray()
    process = machine.processes.begin("apt-get", leader=True)

    def work() -> None:
        argv = (*APT_GET, "install", "linux-image-amd64")
        machine.run(Call(argv, process, Input(), seen.extend, seen.extend))

    machine.processes.spawn(process, work)
    until(machine, lambda: b"update-initramfs" in seen)
    machine.processes.signal(9, pid=process.pid)
    until(machine, lambda: not machine.processes.alive(process))
    package = machine.system.packages.find(f"linux-image-{NEW}")
    assert package
    assert package.state == "half-configured"
    assert not machine.files.exists(f"/boot/initrd.img-{NEW}")
    status, _, err = run(machine, *APT_GET, "install", "linux-image-amd64")
    assert status == 100
    assert err.startswith("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'")
    status, out, _ = run(machine, *DPKG_CONFIGURE)
    assert status == 0
    assert f"update-initramfs: Generating /boot/initrd.img-{NEW}" in out
    assert run(machine, *APT_GET, "install", "linux-image-amd64")[0] == 0
    assert package.state == "installed"
    assert machine.files.exists(f"/boot/initrd.img-{NEW}")


def test_the_package_lock_is_waited_for_and_its_holder_named(make: Make) -> None:
    machine = make(scale=600.0)
    first = threading.Thread(target=run, args=(machine, *APT_GET, "install", "linux-image-amd64"))
    first.start()
    until(machine, lambda: machine.files.exists(f"/boot/vmlinuz-{NEW}"))
    status, _, err = run(machine, "apt-get", "-y", "install", "htop")
    assert status == 100
    assert "held by process" in err
    assert "(apt-get)" in err
    status, out, _ = run(machine, *APT_GET, "install", "htop")
    assert status == 0
    assert "Waiting for cache lock" in out
    first.join(60)
    assert not first.is_alive()


# -- grub ---------------------------------------------------------------------------------------


def menu_of(machine: Machine) -> grub.BootMenu:
    menu = ask(machine, grub.BOOT_MENU)
    assert isinstance(menu, grub.BootMenu)
    return menu


def test_the_boot_menu(machine: Machine) -> None:
    change(machine, *APT_GET, "install", "linux-image-amd64")
    menu = menu_of(machine)
    assert len(menu.entries) == 7
    entry = menu.starting(NEW)
    assert entry
    assert entry.title == "Debian GNU/Linux"
    old = menu.starting(OLD)
    assert old
    assert old.path.startswith("gnulinux-advanced-")
    assert f">gnulinux-{OLD}-advanced-" in old.path


def test_the_default_is_kept_in_grubs_environment(machine: Machine) -> None:
    change(machine, *APT_GET, "install", "linux-image-amd64")
    block = ask(machine, grub.BOOT_ENVIRONMENT)
    assert isinstance(block, grub.BootEnvironment)
    assert OLD in block.settings["saved_entry"]
    wanted = menu_of(machine).starting(NEW)
    assert wanted
    change(machine, "grub-set-default", wanted.path)
    assert machine.execute(["cat", "/boot/grub/grubenv"]).out[:10] == b"# GRUB Env"
    assert len(machine.execute(["cat", "/boot/grub/grubenv"]).out) == 1024
    entry = machine.system.grub.choice()
    assert entry
    assert entry.release == NEW


@pytest.mark.parametrize(
    ("saved", "release"),
    [
        ("0", NEW),
        ("1>0", NEW),
        ("1>2", OLD),
        ("9", NEW),
        ("nonesuch", NEW),
        ("Debian GNU/Linux", NEW),
        (f"Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux {OLD}", OLD),
        # An id inside a submenu without its path: GRUB does not find it and starts the first.
        (f"gnulinux-{OLD}-advanced-8f2f1c1e-6a0b-4f0e-9d0c-0b5d1c6a7e42", NEW),
    ],
)
def test_what_grub_makes_of_a_default(machine: Machine, saved: str, release: str) -> None:
    change(machine, *APT_GET, "install", "linux-image-amd64")
    change(machine, "grub-set-default", saved)
    entry = machine.system.grub.choice()
    assert entry
    assert entry.release == release


READ_AS_STARTED = [
    "0", "1", "1>0", "1>1", "1>2", "1>3", "1>99", "7", "0x1>2", "01>02", "1st", " 1>2", "0x",
    "saved", "Debian GNU/Linux", "gnulinux-gone", "gnulinux-gone>2",
    f"{ADVANCED}>2", ADVANCED, f"{ADVANCED}>", f"{ADVANCED}>gone", f"{ADVANCED_TITLE}>3",
    f"{ADVANCED}>gnulinux-{OLDER}-advanced-{ROOT_UUID}",
    f"{ADVANCED_TITLE}>Debian GNU/Linux, with Linux {OLDER} (recovery mode)",
    f"{ADVANCED}>>2", f"gnulinux-{OLDER}-advanced-{ROOT_UUID}",
]  # fmt: skip


@pytest.mark.parametrize("default", READ_AS_STARTED)
@pytest.mark.parametrize("kept", ["configuration", "saved", "next"])
def test_what_is_read_of_the_default_is_what_starts(make: Make, default: str, kept: str) -> None:
    """tastyops reads grub.cfg; the machine resolves its own menu. Both must name one entry."""
    machine = make(grub_default=default if kept == "configuration" else "saved")
    if kept != "configuration":
        machine.system.grub.set("saved_entry" if kept == "saved" else "next_entry", default)
    menu = menu_of(machine).with_custom(ask(machine, grub.BOOT_CUSTOM))
    read = menu.chosen(ask(machine, grub.BOOT_ENVIRONMENT))
    assert read.entry
    started = machine.system.grub.choice()
    assert started
    assert read.entry.title == started.title
    assert read.entry.recovery is started.recovery
    machine.power.cycle()
    until(machine, lambda: up(machine) or machine.power.phase == "rescue")
    assert machine.boot.kernel == read.release


def test_a_machine_without_an_environment_block(make: Make) -> None:
    machine = make()
    change(machine, "rm", "/boot/grub/grubenv")
    assert ask(machine, grub.BOOT_ENVIRONMENT) == grub.NO_BLOCK


def test_a_one_shot_entry_stays_since_boot_is_on_a_mirror(machine: Machine) -> None:
    change(machine, *APT_GET, "install", "linux-image-amd64")
    change(machine, "grub-reboot", "0")
    machine.power.cycle()
    until(machine, lambda: up(machine))
    assert machine.boot.kernel == NEW
    assert machine.system.grub.environment()["next_entry"] == "0"


def test_a_boot_loader_without_its_configuration_boots_nothing(machine: Machine) -> None:
    change(machine, "rm", "/boot/grub/grub.cfg")
    machine.power.cycle()
    assert machine.power.phase == "panicked"
    assert "grub rescue>" in machine.console.lines[-1]


# -- units and logind ---------------------------------------------------------------------------


def test_failed_units_are_json(make: Make) -> None:
    machine = make(failed=["bind9"])
    assert ask(machine, system.FAILED_UNITS) == ("named.service",)
    assert ask(machine, system.SYSTEM_STATE) == "degraded"
    assert run(machine, "systemctl", "is-system-running")[0] == 1
    status, _, err = run(machine, "systemctl", "restart", "named")
    assert status == 1
    assert "Job for named.service failed" in err
    assert run(machine, "systemctl", "status", "named")[0] == 3


def test_no_failed_units_is_an_empty_list(machine: Machine) -> None:
    assert json.loads(machine.execute(system.FAILED_UNITS.argv).out) == []


def test_stopping_and_starting(machine: Machine) -> None:
    change(machine, "systemctl", "stop", "snmpd")
    assert run(machine, "systemctl", "is-active", "snmpd") == (3, "inactive\n", "")
    change(machine, "systemctl", "start", "snmpd")
    assert run(machine, "systemctl", "is-active", "snmpd") == (0, "active\n", "")


def test_a_shutdown_is_scheduled_read_back_and_cancelled(machine: Machine) -> None:
    assert ask(machine, system.SCHEDULED) is None
    due = machine.clock.time() + 36_000
    change(machine, *system.logind_call("SetWallMessage", "sb", "for a kernel", "true"))
    change(machine, *system.logind_call("ScheduleShutdown", "st", "reboot", str(round(due * 1e6))))
    found = ask(machine, system.SCHEDULED)
    assert isinstance(found, system.Scheduled)
    assert found.type == "reboot"
    assert abs(found.at - due) < 0.001
    status, out, _ = run(machine, *system.logind_call("CancelScheduledShutdown", ""))
    assert (status, out) == (127, "")  # an empty signature is not how busctl is called
    assert run(machine, *system.logind_call("CancelScheduledShutdown", "")[:-1]) == (
        0,
        "b true\n",
        "",
    )
    assert ask(machine, system.SCHEDULED) is None


def test_wall_reaches_who_is_logged_in_and_says_it_is_a_practice(machine: Machine) -> None:
    change(machine, "wall", "--", "Save your work.")
    for user in ("dwm", "mark", "ncm"):
        assert "Save your work." in machine.users.terminals[user].text
        assert "(practice host)" in machine.users.terminals[user].text
    assert run(machine, "who")[1].count("\n") == 3


def test_a_boot_takes_its_time(machine: Machine) -> None:
    was, since = machine.boot.id, machine.clock.time()
    run(machine, "sh", "-c", "echo x >/run/x; echo y >/root/y")
    change(machine, *system.logind_call("ScheduleShutdown", "st", "reboot", "0"))
    with pytest.raises(ConnectionRefusedError):
        machine.execute(["true"])
    assert not machine.users.terminals["ncm"].open
    until(machine, lambda: up(machine))
    assert machine.clock.time() - since >= 45
    assert run(machine, "systemctl", "is-system-running") == (1, "starting\n", "")
    assert run(machine, "systemctl", "is-active", "apache2") == (3, "activating\n", "")
    assert machine.boot.id != was
    assert run(machine, "ls", "/run/x")[0] == 2
    assert run(machine, "cat", "/root/y") == (0, "y\n", "")
    assert run(machine, "who")[1] == ""
    until(machine, lambda: run(machine, "systemctl", "is-system-running")[1] == "running\n")


def test_a_poweroff_stays_off(machine: Machine) -> None:
    change(machine, *system.logind_call("ScheduleShutdown", "st", "poweroff", "0"))
    machine.power.catch_up()
    assert machine.power.phase == "off"
    assert machine.power.next_due() is None


def test_settings_are_checked(make: Make) -> None:
    with pytest.raises(ValueError, match="practice: has no faild"):
        make(faild=["x"])
    with pytest.raises(ValueError, match="has no unit nonesuch"):
        make(failed=["nonesuch"])


def test_signals_by_name_and_number() -> None:
    assert signal_number("SIGTERM") == signal_number("term") == signal_number("15") == 15
    assert signal_number("NONE") is None
    assert signal_number("77") is None

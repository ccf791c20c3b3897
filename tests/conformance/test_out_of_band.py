"""Consoles and power switches of the practice host and the lab answer alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest

from tastyops.app import environment
from tastyops.app.devices import device_passwords
from tastyops.app.secrets import Secrets
from tastyops.errors import ConsoleHeld, PowerUnreachable
from tastyops.facts.console_screen import WAITING, Screen
from tastyops.facts.parsers import parse
from tastyops.lab.record import USER
from tastyops.model.commands import Blob, Output
from tastyops.model.inventory import Host
from tastyops.model.out_of_band import ConsoleWay, Ipmi, PowerWay
from tastyops.model.secret_source import SecretSource
from tastyops.ports import Console, OutOfBand
from tests.conformance.test_sessions import Sink
from tests.lab.machine import SESSION_SECONDS, Lab

TARGETS = [
    "practice_ways",
    pytest.param("lab_ways", marks=[pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]),
]
UP, DOWN, ENTER, ESCAPE = b"\x10", b"\x0e", b"\r", b"\x1b"
BOOT = 1200.0
"""Seconds a boot may take on a busy machine."""


@dataclass(frozen=True)
class Outside:
    host: Host
    ways: OutOfBand


def ways_of(host: Host, stack: ExitStack) -> Outside:
    place = environment.connect(stack, [host], Secrets(devices=device_passwords([host])))
    return Outside(host, place.ways)


@pytest.fixture
def practice_ways() -> Iterator[Outside]:
    with ExitStack() as stack:
        yield ways_of(Host("kalimdor", connection="practice"), stack)


@pytest.fixture(scope="module")
def pristine_afterwards(lab: Lab) -> Iterator[None]:
    """The last test here leaves the machine at a prompt; the next module wants it up."""
    yield
    lab.reset()


@pytest.fixture
def lab_ways(lab: Lab, pristine_afterwards: None) -> Iterator[Outside]:
    lab.reset()
    with ExitStack() as stack:
        yield ways_of(lab.host, stack)


@pytest.fixture(params=TARGETS)
def outside(request: pytest.FixtureRequest) -> Outside:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Outside)
    return found


def power(outside: Outside, word: str = "status") -> str:
    switch, sink = outside.ways.power(outside.host), Sink()
    ended = switch.status(sink=sink) if word == "status" else switch.turn(word, sink=sink)  # type: ignore[arg-type]
    assert ended.status == 0
    return bytes(sink.stdout).decode().strip()


def becomes(outside: Outside, state: str) -> None:
    due = time.monotonic() + 60
    while power(outside) != state:
        assert time.monotonic() < due
        time.sleep(0.1)


def look(console: Console, *until: str, seconds: float = BOOT) -> Screen:
    sink = Sink()
    assert console.look(seconds, until, sink=sink).status == 0
    found = parse("screen", Output(0, Blob.of(bytes(sink.stdout))))
    assert isinstance(found, Screen)
    return found


def pressed(console: Console, key: bytes) -> Screen:
    """What the menu shows after a key."""
    console.type(key)
    return look(console, "Debian", seconds=60)


def test_a_login_prompt_answers_enter(outside: Outside) -> None:
    with closing(outside.ways.console(outside.host, heard=lambda data: None)) as console:
        assert look(console).state == "silent"
        console.type(ENTER)
        assert look(console, r"login: $").state == "login"


def test_off_and_on(outside: Outside) -> None:
    assert power(outside) == "on"
    assert power(outside, "off") == "off"
    becomes(outside, "off")
    assert power(outside, "cycle") == "on", "a cycle of a machine that is off switches it on"
    becomes(outside, "on")


def test_an_entry_is_found_by_its_title_and_booted(outside: Outside) -> None:
    heard = bytearray()
    with closing(outside.ways.console(outside.host, heard=heard.extend)) as console:
        assert power(outside, "cycle") == "cycle"
        menu = look(console, "GNU GRUB")
        menu = pressed(console, UP)
        assert menu.state == "boot-menu"
        while not menu.chosen.startswith("Advanced"):
            menu = pressed(console, DOWN)
        top = menu.entries
        menu = pressed(console, ENTER)
        assert menu.chosen in menu.entries
        assert any("(recovery mode)" in title for title in menu.entries)
        assert pressed(console, ESCAPE).entries == top
        menu = pressed(console, ENTER)
        while menu.chosen.endswith("(recovery mode)"):
            menu = pressed(console, DOWN)
        console.type(ENTER)
        started = look(console, *WAITING[1:])
        assert started.state == "login", started.text[-2000:]
    assert b"Loading Linux" in bytes(heard)
    assert b"GNU GRUB" in bytes(heard)


def test_recovery_mode_asks_for_roots_password(outside: Outside) -> None:
    with closing(outside.ways.console(outside.host, heard=lambda data: None)) as console:
        power(outside, "cycle")
        look(console, "GNU GRUB")
        menu = pressed(console, DOWN)
        while not menu.chosen.startswith("Advanced"):
            menu = pressed(console, DOWN)
        menu = pressed(console, ENTER)
        while not menu.chosen.endswith("(recovery mode)"):
            menu = pressed(console, DOWN)
        console.type(ENTER)
        assert look(console, "for maintenance").state == "rescue"


@pytest.mark.lab
@pytest.mark.timeout(SESSION_SECONDS)
def test_serial_over_lan_and_the_chassis_by_ipmi(lab: Lab) -> None:
    """``ipmi:`` in the inventory; the console is held by the first and taken by the second."""
    switch = lab.made.switch
    password = SecretSource("file", (str(switch.password_file),))
    ipmi = Ipmi("127.0.0.1", switch.lan, USER, password, cipher=3)
    host = Host("kalimdor", console=ConsoleWay(ipmi=ipmi), power=PowerWay(ipmi))
    with ExitStack() as stack:
        outside = ways_of(host, stack)
        assert power(outside) == "on"
        with closing(outside.ways.console(host, heard=lambda data: None)) as first:
            assert look(first).state == "silent"
            with pytest.raises(ConsoleHeld):
                outside.ways.console(host, heard=lambda data: None)
            with closing(outside.ways.console(host, heard=lambda data: None, take=True)) as taken:
                taken.type(ENTER)
                assert look(taken, "login|assword|maintenance").heard
        again = outside.ways.console(host, heard=lambda data: None)
        again.close()  # the session was ended with the console, so it can be had at once


@pytest.mark.lab
@pytest.mark.timeout(SESSION_SECONDS)
def test_a_switch_that_is_not_there(lab: Lab) -> None:
    ipmi = Ipmi("127.0.0.1", 9, "admin", None, cipher=3)
    with ExitStack() as stack:
        outside = ways_of(Host("kalimdor", power=PowerWay(ipmi, timeout=30)), stack)
        with pytest.raises(PowerUnreachable):
            power(outside)

"""The modelled machine's serial console."""

from __future__ import annotations

import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tastyops.practice.console import SerialConsole
from tastyops.practice.server import PracticeHost
from tastyops.transport.console.transports import SocketLine
from tests.cli.project import wait_for
from tests.unix_sockets import path_of

TIMES = 50


@pytest.mark.parametrize("size", [80, 103, 104, 107, 108, 109, 120, 200, 500, 1000, 4000])
def test_the_console_may_have_a_path_of_any_length(short_path: Path, size: int) -> None:
    path, keys = path_of(short_path, size, "console"), bytearray()
    with (
        closing(SerialConsole(path, keys.extend)) as console, closing(SocketLine(str(path))) as line,
    ):  # fmt: skip
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert console.attached
        console.say(b"kalimdor login: ")
        assert line.read() == b"kalimdor login: "
        line.write(b"root")
        wait_for(lambda: keys == b"root", "the keys arrive")
    assert not path.exists()


@pytest.mark.parametrize("size", [60, 85, 150, 400])
def test_a_practice_host_starts_whatever_tmpdir_is(
    short_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = path_of(short_path, size, "tmp")
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with PracticeHost.start("kalimdor") as practice:
        way = practice.host.console
        assert way is not None
        assert isinstance(way.socket, str)
        assert Path(way.socket).is_relative_to(place)
        SocketLine(way.socket).close()
    assert not list(place.iterdir())


def test_who_has_connected_is_there(short_path: Path) -> None:
    """Or a machine restarted in the same moment would show its boot menu to nobody."""
    for number in range(TIMES):
        with closing(SerialConsole(short_path / str(number), lambda key: None)) as console:
            assert not console.attached
            with closing(socket.socket(socket.AF_UNIX)) as link:
                link.connect(str(console.path))
                assert console.attached

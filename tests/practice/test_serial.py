"""The modelled machine's serial console."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

from tastyops.practice.serial import SerialConsole

TIMES = 50


def test_who_has_connected_is_there(tmp_path: Path) -> None:
    """Or a machine restarted in the same moment would show its boot menu to nobody."""
    for number in range(TIMES):
        with closing(SerialConsole(tmp_path / str(number), lambda key: None)) as console:
            assert not console.attached
            with closing(socket.socket(socket.AF_UNIX)) as link:
                link.connect(str(console.path))
                assert console.attached

"""Unix sockets at paths of any length, for tests that serve one."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def path_of(folder: Path, size: int, name: str = "s") -> Path:
    """A path of ``size`` bytes in new directories under ``folder``."""
    room = size - len(os.fsencode(folder)) - len(os.fsencode(name)) - 2
    assert room > 0, f"{folder} is too long for a path of {size} bytes"
    while room > 200:
        folder, room = folder / ("d" * 150), room - 151
    folder /= "d" * room
    folder.mkdir(parents=True)
    assert len(os.fsencode(folder / name)) == size
    return folder / name


def served(path: Path) -> socket.socket:
    """A socket that listens at ``path``."""
    server = socket.socket(socket.AF_UNIX)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        server.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)
    server.listen(1)
    return server

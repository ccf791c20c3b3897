"""Connect to a Unix socket whose path is of any length."""

from __future__ import annotations

import os
import socket

ADDRESS_BYTES = 103
"""The longest path that every Unix takes as an address: 107 bytes on Linux (unix(7)), 103 on the
BSDs (unix(4))."""


def connect(link: socket.socket, path: str) -> None:
    """Connect ``link`` to the socket at ``path``. Raises OSError.

    A path too long for an address is opened with O_PATH, and the connection goes through the
    descriptor's name under /proc, as systemd's ``connect_unix_path`` does.
    """
    path = os.path.expanduser(path)
    if len(os.fsencode(path)) <= ADDRESS_BYTES or not hasattr(os, "O_PATH"):
        link.connect(path)
        return
    inode = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        link.connect(f"/proc/self/fd/{inode}")
    finally:
        os.close(inode)

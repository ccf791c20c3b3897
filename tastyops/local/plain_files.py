"""Opens plain files only, and gives new ones the mode they are to have.

A named pipe or a device in place of a file would block the process in open(2) or in read(2), where
no signal of ours is handled; a device may also act on being opened. So the kind is looked at before
the file is opened, and again on the open descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

PRIVATE_FILE, PRIVATE_DIRECTORY, PUBLIC_DIRECTORY = 0o600, 0o700, 0o755

_ALWAYS = os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""O_NONBLOCK changes nothing for a plain file, and keeps a pipe put there meanwhile from
blocking."""


class NotPlainFileError(OSError):
    """There is something else than a file: a pipe, a device, a socket."""


def _refuse(path: Path | str) -> NotPlainFileError:
    return NotPlainFileError(errno.EINVAL, "not a plain file", str(path))


def check_plain(path: Path | str) -> None:
    """Raises NotPlainFileError for a pipe, a device or a socket, and OSError as stat(2) does.

    A directory passes: what is done with the file says better that this is one.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise _refuse(path)


def open_plain(path: Path | str, flags: int = os.O_RDONLY, mode: int = PRIVATE_FILE) -> int:
    """A descriptor of a plain file. Raises NotPlainFileError, OSError.

    With ``os.O_CREAT`` a new file gets exactly this mode, whatever the umask is.
    """
    try:
        check_plain(path)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
        try:
            fd = os.open(path, flags | os.O_EXCL | _ALWAYS, mode)
        except FileExistsError:
            if flags & os.O_EXCL:
                raise
            return open_plain(path, flags & ~os.O_CREAT, mode)  # another process made it just now
        os.fchmod(fd, mode)
        return fd
    fd = os.open(path, flags | _ALWAYS, mode)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise (
            IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            if (os.path.isdir(path))
            else _refuse(path)
        )
    return fd


def reading(path: Path | str) -> BufferedReader:
    """A plain file, open to be read. Raises NotPlainFileError, OSError."""
    return open(open_plain(path), "rb")


def read_plain(path: Path | str) -> bytes:
    """All bytes of a plain file; none of /dev/null, which ssh_config names for no file at all.

    Raises NotPlainFileError, OSError.
    """
    if str(path) == os.devnull:
        return b""
    with reading(path) as file:
        return file.read()


def make_private_directory(path: Path, *, entered: bool = False) -> None:
    """Makes a directory 0700, whatever the umask is. Its missing parents get the usual mode.

    With ``entered`` other accounts may look into it (0755). A directory that is there keeps its
    mode, but for what lets everybody write into it.
    """
    mode = PUBLIC_DIRECTORY if entered else PRIVATE_DIRECTORY
    make_public_directory(path.parent)
    try:
        path.mkdir(mode=mode)
        path.chmod(mode)
    except FileExistsError:
        _close(path)
        found = path.stat()
        if entered and found.st_uid == os.geteuid() and found.st_mode & PUBLIC_DIRECTORY != mode:
            path.chmod(stat.S_IMODE(found.st_mode) | mode)


def make_public_directory(path: Path) -> None:
    """Makes a directory as the umask has it, but never one that everybody may write into."""
    for each in reversed([path, *path.parents]):
        if not each.exists():
            each.mkdir(exist_ok=True)
            _close(each)


def _close(path: Path) -> None:
    """Lets only the owner and the group write into a directory, unless it is sticky as /tmp is."""
    found = path.stat()
    open_to_all = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
    if open_to_all and found.st_uid == os.geteuid():
        path.chmod(stat.S_IMODE(found.st_mode) & ~stat.S_IWOTH)

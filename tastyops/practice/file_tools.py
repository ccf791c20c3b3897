"""Programs about files as a whole: df, mktemp, chmod, sync, cmp."""

from __future__ import annotations

import re

from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import FileProblem, Files, NotModelled
from tastyops.practice.mounts import Mounts


class FileTools:
    """The programs. Files have no modes here, and what is written is on the disk at once."""

    def __init__(self, files: Files, mounts: Mounts) -> None:
        self._files, self._mounts = files, mounts
        self._made = 0

    def commands(self) -> Commands:
        """The programs."""
        return {
            "df": self._df,
            "mktemp": self._mktemp,
            "chmod": self._chmod,
            "sync": self._sync,
            "cmp": self._cmp,
        }

    def _df(self, call: Call) -> int:
        """Bytes that are free on a filesystem, by the place it is mounted on."""
        match call.argv[1:]:
            case ["--output=avail", "-B1", place] if place.startswith("/"):
                found = self._mounts.at(place) or self._mounts.at("/")
            case _:
                raise NotModelled(" ".join(call.argv))
        if found is None:
            raise NotModelled(" ".join(call.argv))
        call.say(f"     Avail\n{found.filesystem.size - found.filesystem.used}")
        return 0

    def _mktemp(self, call: Call) -> int:
        if len(call.argv) != 2 or not call.argv[1].endswith("XXXXXX"):
            raise NotModelled(" ".join(call.argv))
        self._made += 1
        path = call.path(f"{call.argv[1][:-6]}{self._made:06}")
        self._files.open(path, fresh=True)
        call.say(path)
        return 0

    def _chmod(self, call: Call) -> int:
        mode, *names = call.argv[1:]
        if not re.fullmatch(r"[0-7]{3,4}|[augo]*[-+=][rwxX]+", mode) or not names:
            raise NotModelled(" ".join(call.argv))
        return self._all_there(call, names)

    def _sync(self, call: Call) -> int:
        return self._all_there(call, [word for word in call.argv[1:] if word not in ("-f", "-d")])

    def _all_there(self, call: Call, names: list[str]) -> int:
        missing = [name for name in names if not self._files.exists(call.path(name))]
        for name in missing:
            call.complain(f"{call.argv[0]}: cannot access '{name}': No such file or directory")
        return 1 if missing else 0

    def _cmp(self, call: Call) -> int:
        if call.argv[1:2] != ("-s",) or len(call.argv) != 4:
            raise NotModelled(" ".join(call.argv))
        try:
            left, right = (self._files.file(call.path(name)) for name in call.argv[2:])
        except FileProblem as problem:
            call.complain(f"cmp: {problem}")
            return 2
        same = (left.data, left.opaque) == (right.data, right.opaque)
        return 0 if same and left.make is None and right.make is None else 1

"""The program in processes that are forked with its modules loaded.

Most of a short run's processor time is spent on imports, and the kills need hundreds of runs. Each
is a process of its own all the same, with its own memory, descriptors and end by SIGKILL; starting
the installed program is what the other tests of this package do.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pkgutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.util import get_temp_dir
from pathlib import Path

import tastyops
from tests.durable.victim import die_at


@cache
def context() -> ForkServerContext:
    """One server a process, started by the first use."""
    usual = tempfile.tempdir
    tempfile.tempdir = "/tmp"  # the server listens on a Unix socket, and $TMPDIR may be too long
    try:
        get_temp_dir()
    finally:
        tempfile.tempdir = usual
    found = multiprocessing.get_context("forkserver")
    names = [module.name for module in pkgutil.walk_packages(tastyops.__path__, "tastyops.")]
    found.set_forkserver_preload([name for name in names if not name.endswith("__main__")])
    return found


def run(
    words: Sequence[str], *, folder: Path, environment: Mapping[str, str], moment: int | None,
    output: Path, patience: float,
) -> int | None:
    """The exit code, negative for a signal, of the program run with these words; None if it hangs.

    ``moment``: kill it at this event of its journal. ``output``: takes both its streams.
    """  # fmt: skip
    process = context().Process(
        target=_live, args=(list(words), str(folder), dict(environment), moment, str(output))
    )
    process.start()
    try:
        process.join(patience)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
        return code
    finally:
        process.close()


def _live(
    words: list[str], folder: str, environment: dict[str, str], moment: int | None, output: str
) -> None:
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in ((0, nothing), (1, written), (2, written)):
        os.dup2(source, number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  lives as long as we do
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["tastyops", *words]
    if moment is not None:
        die_at(moment)
    program = importlib.import_module("tastyops.cli.program")
    sys.exit(program.main(words))

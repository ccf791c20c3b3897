"""``lab.status``: what runs, where it listens, what was broken, where the logs are."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app import lab
from tastyops.errors import ExitCode


def arguments(parser: ArgumentParser) -> None:
    """``lab.status`` takes nothing."""


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints the status; 0 while the machine is on and answers, 1 otherwise."""
    lines, answers = lab.status()
    print("\n".join(lines))  # noqa: T201
    return int(ExitCode.COMPLETED if answers else ExitCode.FAILED)

"""What the lab's verbs share."""

from __future__ import annotations

from argparse import ArgumentParser

from tastyops.errors import UsageError


def start_arguments(parser: ArgumentParser) -> None:
    """The options of the verbs that start the machine."""
    install_argument(parser)
    parser.add_argument(
        "--cold", action="store_true", help="boot the machine instead of restoring it"
    )


def install_argument(parser: ArgumentParser) -> None:
    """``--install``, for the verbs that may find something missing."""
    parser.add_argument(
        "--install", action="store_true", help="as root: install what is missing, with apt-get"
    )


def refuse_dry(verb: str, *, dry: bool) -> None:
    """Raises UsageError in a dry run: these verbs have none."""
    if dry:
        raise UsageError(f"{verb} has no dry run.", still_true="Nothing was done.")

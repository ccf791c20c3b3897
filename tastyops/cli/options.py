"""Options that several verbs take."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path


def filled(text: str) -> str:
    """An option's value: an empty one (an unset variable of the shell) is a missing one."""
    if not text.strip():
        raise ArgumentTypeError("its value is empty")
    return text


def filled_path(text: str) -> Path:
    """A path that is not empty."""
    return Path(filled(text))


def inventory_argument(parser: ArgumentParser) -> None:
    """``--inventory``, ``--logs`` and ``--runs``, as every verb has them."""
    parser.add_argument(
        "--inventory", metavar="F", default=None, type=filled,
        help="an inventory's path, or the name of a known one (default: inventory.yml)",
    )
    for name in ("logs", "runs"):
        parser.add_argument(
            f"--{name}", metavar="DIR", type=filled,
            help=f"where the {name} are (default: the inventory's)",
        )


def take_over_argument(parser: ArgumentParser) -> None:
    """``--take-over``, for what may find its hosts held by a run that died."""
    parser.add_argument(
        "--take-over", action="store_true", dest="take_over",
        help="take over hosts that a finished or dead run still holds",
    )


def run_argument(parser: ArgumentParser) -> None:
    """``RUN``, for every verb that looks at one."""
    parser.add_argument(
        "run", metavar="RUN", type=filled,
        help="a run's id or its beginning, `last`, or a log's number",
    )


def plugins_argument(parser: ArgumentParser) -> None:
    """``--no-plugins``, for the verbs that load a runbook."""
    parser.add_argument(
        "--no-plugins", action="store_const", const="none", default="run", dest="plugins",
        help="run no Python of actions/ beside the runbook; its actions are unknown then",
    )


def window_end_argument(parser: ArgumentParser) -> None:
    """``--window-end``."""
    parser.add_argument(
        "--window-end", metavar="02:00", dest="window_end", type=filled,
        help="when the at-risk period ends, whatever the runbook says",
    )

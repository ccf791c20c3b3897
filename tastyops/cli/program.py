"""The entry point, which turns every error into a message and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from tastyops.app import signals
from tastyops.cli import output
from tastyops.cli.verbs import BY_NAME, VERBS, module_of
from tastyops.errors import ExitCode, TastyopsError, UsageError
from tastyops.model.public_text import one_line
from tastyops.ui.messages import as_typed, start_as

DRY = "INVOKE_RUN_DRY"
"""Invoke's own variable for its ``--dry``; the ``tastyops`` program heeds it too."""


LAST_SECOND = 9_223_372_036
"""11 April 2262: Python counts the nanoseconds since 1970 in 63 bits."""


class Parser(argparse.ArgumentParser):
    """argparse with our own usage errors and without abbreviations."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Raises UsageError with the usage line."""
        option = message.removeprefix("argument ").partition(":")[0].partition("/")[0]
        if message.endswith("expected one argument") and option.startswith("--"):
            message += f" (one that begins with - is given as {option}=-…)"
        usage = " ".join(self.format_usage().split())
        raise UsageError(f"{self.prog}: {message}.", next_step=usage)


def main(
    words: Sequence[str] | None = None, *, program: str = "tastyops", dry: bool = False
) -> int:
    """Runs a verb and returns the exit code. Every error and Ctrl-C ends here."""
    arguments = list(sys.argv[1:] if words is None else words)
    start_as(program)
    output.repair()
    with signals.like_ctrl_c():
        code = _outcome(arguments, program, dry or os.environ.get(DRY, "") not in ("", "0"))
    unwritten = output.settle()
    output.drop_unwritable()
    return code or int(ExitCode.FAILED) if unwritten else code


def _outcome(arguments: list[str], program: str, dry: bool) -> int:
    """Runs a verb; what it raises becomes a message and an exit code."""
    try:
        return _dispatch(arguments, program, dry)
    except TastyopsError as error:
        _tell(error)
        return int(error.exit_code)
    except KeyboardInterrupt:
        _say("", "Stopped. Nothing more will be done.")
        return int(ExitCode.CANCELLED)
    except signals.Aborted:
        _say("", *signals.ABORTED.splitlines())
        return int(ExitCode.CANCELLED)
    except SystemExit as end:  # argparse's own --help
        return end.code if isinstance(end.code, int) else int(ExitCode.COMPLETED)
    except Exception as error:
        if isinstance(error, OSError) and output.is_trouble(error):
            output.settle(error)
        else:  # a bug: say so plainly, and keep the details for its report
            _tell_of_bug(error)
        return int(ExitCode.FAILED)


def console_script() -> NoReturn:
    """The installed ``tastyops`` program."""
    sys.exit(main())


def _dispatch(arguments: list[str], program: str, dry: bool) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        _overview(program)
        return int(ExitCode.COMPLETED if arguments else ExitCode.USAGE)
    if arguments[0] == "--version":
        from tastyops import __version__

        print(f"tastyops {__version__}")  # noqa: T201
        return int(ExitCode.COMPLETED)
    _refuse_impossible_clock()
    name, *rest = arguments
    verb = BY_NAME.get(name)
    if verb is None:
        near = get_close_matches(name, BY_NAME, 1)
        hint = f"Did you mean {near[0]}?" if near else f"Verbs: {', '.join(BY_NAME)}."
        raise UsageError(f"{program} has no verb {name!r}.", next_step=hint)
    module = module_of(name)
    parser = Parser(prog=f"{program} {name}", description=verb.help + ".")
    module.arguments(parser)
    signals.loaded()
    return int(module.perform(parser.parse_args(rest), dry=dry))


def _refuse_impossible_clock() -> None:
    """Raises UsageError where the clock makes every wait and every time in a log wrong."""
    try:
        possible = 0 <= time.time() < LAST_SECOND
    except OverflowError:
        possible = False
    if not possible:
        raise UsageError(
            "This machine's clock is before 1970 or after 2261. Nothing was done.",
            next_step="Set the clock (`timedatectl`, or `date -s`) and run the command again.",
        )


def _overview(program: str) -> None:
    lines = [f"usage: {program} VERB …", ""]
    lines += [f"  {verb.name:11} {verb.help}" for verb in VERBS]
    lines += ["", f"`{program} VERB --help` shows the options of a verb."]
    print("\n".join(lines))  # noqa: T201


def _tell(error: TastyopsError) -> None:
    _say(*(line for part in error.lines() for line in part.splitlines()))


def _say(*lines: str) -> None:
    """Lines on standard error, without what could steer a terminal; commands as they are typed."""
    told = (as_typed(one_line(line)) for line in lines)
    with contextlib.suppress(OSError):
        print(*told, sep="\n", file=sys.stderr, flush=True)  # noqa: T201


def _tell_of_bug(error: Exception) -> None:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="tastyops-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as report:
        report.write("".join(traceback.format_exception(error)))
    _say(
        f"An error in tastyops itself: {type(error).__name__}: {error}",
        "What was recorded is intact; what was under way on a host is not known.",
        f"Please report it with {report.name}; `invoke show last` shows how far the run came.",
    )

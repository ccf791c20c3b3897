"""The one way in, and the one function that turns whatever happens into an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from tastyops.cli.verbs import BY_NAME, VERBS
from tastyops.errors import ExitCode, TastyopsError, UsageError


class Parser(argparse.ArgumentParser):
    """argparse, but a usage error is one of ours and nothing may be abbreviated."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Raises UsageError with the usage line."""
        raise UsageError(
            f"{self.prog}: {message}.", next_step=self.format_usage().strip().replace("\n", " ")
        )


def main(words: Sequence[str] | None = None, *, program: str = "tastyops", dry: bool = False) -> int:
    """Runs a verb and returns the exit code. Every error and Ctrl-C ends here."""
    arguments = list(sys.argv[1:] if words is None else words)
    try:
        code = _dispatch(arguments, program, dry)
        sys.stdout.flush()
    except TastyopsError as error:
        _tell(error)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("\nStopped. Nothing more will be done.", file=sys.stderr)  # noqa: T201
        return int(ExitCode.CANCELLED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.FAILED)
    except SystemExit as end:  # argparse's own --help and --version
        return end.code if isinstance(end.code, int) else int(ExitCode.COMPLETED)
    except Exception as error:  # a bug: say so plainly, and keep the details for its report
        _tell_of_bug(error)
        return int(ExitCode.FAILED)
    return code


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
    name, *rest = arguments
    verb = BY_NAME.get(name)
    if verb is None:
        near = get_close_matches(name, BY_NAME, 1)
        hint = f"Did you mean {near[0]}?" if near else f"Verbs: {', '.join(BY_NAME)}."
        raise UsageError(f"{program} has no verb {name!r}.", next_step=hint)
    module = importlib.import_module(f"tastyops.cli.{verb.module}")
    parser = Parser(prog=f"{program} {name}", description=verb.help + ".")
    module.arguments(parser)
    return int(module.perform(parser.parse_args(rest), dry=dry))


def _overview(program: str) -> None:
    lines = [f"usage: {program} VERB …", ""]
    lines += [f"  {verb.name:8} {verb.help}" for verb in VERBS]
    lines += ["", f"`{program} VERB --help` tells more."]
    print("\n".join(lines))  # noqa: T201


def _tell(error: TastyopsError) -> None:
    for line in error.lines():
        print(line, file=sys.stderr)  # noqa: T201


def _tell_of_bug(error: Exception) -> None:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="tastyops-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as report:
        report.write("".join(traceback.format_exception(error)))
    print(  # noqa: T201
        f"An error in tastyops itself: {type(error).__name__}: {error}\n"
        "What was recorded is intact; what was under way on a host is not known.\n"
        f"Please report it with {report.name}; `invoke show last` shows how far the run came.",
        file=sys.stderr,
    )

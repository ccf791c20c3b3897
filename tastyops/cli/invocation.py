"""The same verbs under Invoke, which must not parse what comes after a verb.

Invoke knows neither optional nor repeated positionals, drops a trailing ``--var`` without a
value, refuses values that begin with ``-``, and ends usage errors with 1. So everything after
the verb goes to argparse as it stands, by way of a Parser that Invoke is made to use.
"""

from __future__ import annotations

import copy
import sys
from difflib import get_close_matches
from typing import Any

from invoke import program
from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.parser import Parser as InvokeParser
from invoke.parser import ParseResult
from invoke.parser.context import ParserContext
from invoke.tasks import Task

from tastyops.cli.verbs import BY_NAME, VERBS, Verb
from tastyops.errors import ExitCode


class VerbatimParser(InvokeParser):
    """Passes everything after one of our verbs to the verb's task as it stands."""

    def parse_argv(self, argv: list[str]) -> ParseResult:
        """Parses as Invoke does, except our verbs; an unknown verb ends with 2, not 1."""
        if not argv or argv[0] not in BY_NAME:
            return self._others(argv)
        context = copy.deepcopy(self.contexts[argv[0]])
        context.args["words"].set_value(argv[1:], cast=False)
        result = ParseResult()
        # None of Invoke's own options is among our words.
        result.append(copy.deepcopy(self.initial or ParserContext()))
        result.append(context)
        return result

    def _others(self, argv: list[str]) -> ParseResult:
        try:
            return super().parse_argv(argv)
        except ParseError as error:
            if self.initial is None or not argv or argv[0] in self.contexts:
                raise
            near = get_close_matches(argv[0], self.contexts, 1)
            print(error, f"Did you mean {near[0]}?" if near else "`invoke --list`", file=sys.stderr)  # noqa: T201
            sys.exit(int(ExitCode.USAGE))


def collection(*own: Task[Any]) -> Collection:
    """All verbs as Invoke tasks, and the project's own tasks beside them."""
    vars(program)["Parser"] = VerbatimParser  # the name Program looks its parser up by
    found = Collection(*own)
    for verb in VERBS:
        folder, _, _ = verb.name.rpartition(".")
        if folder and folder not in found.collections:
            found.add_collection(Collection(folder))
        (found.collections[folder] if folder else found).add_task(_task(verb))
    return found


def _task(verb: Verb) -> Task[Any]:
    def body(context: Context, words: list[str]) -> None:
        from tastyops.cli.program import main

        if "--" in sys.argv:
            print("invoke takes what follows `--` for itself; leave it out.", file=sys.stderr)  # noqa: T201
            raise Exit(code=int(ExitCode.USAGE))
        dry = bool(context.config.run.dry)
        raise Exit(code=main([verb.name, *words], program="invoke", dry=dry))

    body.__doc__ = verb.help + "."
    return Task(body, name=verb.name.rpartition(".")[2], positional=["words"])

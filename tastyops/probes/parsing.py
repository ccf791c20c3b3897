"""Every parser there is, by name."""

from __future__ import annotations

from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.probes import boot, disks, md, reading, signatures, system
from tastyops.probes.reading import Answer, Parsers

PARSERS: Parsers = {
    **reading.PARSERS,
    **system.PARSERS,
    **boot.PARSERS,
    **disks.PARSERS,
    **md.PARSERS,
    **signatures.PARSERS,
}


def parse(parser: str, answer: Answer) -> Any:
    """The fact in an answer. Raises ProbeFailed when there is none to be had."""
    try:
        return PARSERS[parser](answer)
    except ValueError as error:
        raise ProbeFailed(str(error)) from error

"""The program with limits of seconds instead of half a minute: ``python -m tests.durable.hasty VERB …``.

``TASTYOPS_TEST_CLOCK=SECONDS`` lets its clock go wrong by so much after the fifth time it is read.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
from datetime import datetime, timedelta

from tastyops.app import environment
from tastyops.cli.program import main
from tastyops.transport.ssh import session
from tests.sshd.watching import HASTY

STOPPED = HASTY.heart_limit + HASTY.heart_every + 1.0
"""Seconds after which a link that said nothing all the while would be given up."""

READ = 5


def hasten() -> None:
    """Shortens every link's limits."""
    session.Timing = functools.partial(lambda: HASTY)  # type: ignore[assignment,misc]


def step_the_clock(seconds: float) -> None:
    """Lets the run's clock jump, once."""
    now, reads = environment.WallClock.now, itertools.count()

    def wrong(clock: environment.WallClock) -> datetime:
        return now(clock) + timedelta(seconds=seconds if next(reads) > READ else 0)

    environment.WallClock.now = wrong  # type: ignore[method-assign]


if __name__ == "__main__":
    hasten()
    if "TASTYOPS_TEST_CLOCK" in os.environ:
        step_the_clock(float(os.environ["TASTYOPS_TEST_CLOCK"]))
    sys.exit(main(sys.argv[1:]))

"""``python -m tastyops.practice``: one practice host as a process of its own, until it is ended."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from tastyops.practice.server import PracticeHost


def main() -> int:
    """Serves one host; prints one line of JSON that says how to reach it and its clock."""
    parser = argparse.ArgumentParser(prog="python -m tastyops.practice", description=__doc__)
    parser.add_argument("--name", default="kalimdor", help="the host's name")
    parser.add_argument("--port", type=int, default=0, help="its port on 127.0.0.1; 0: a free one")
    parser.add_argument("--scale", type=float, default=60.0, help="how much faster its time runs")
    parser.add_argument("--directory", type=Path, help="where to put the keys (made, 0700)")
    parser.add_argument("--vars", type=json.loads, default={}, help="the host's vars, as JSON")
    arguments = parser.parse_args()
    # Blocked before any thread is made, so that only sigwait gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    if arguments.directory:
        arguments.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        practice = PracticeHost.start(
            arguments.name,
            scale=arguments.scale,
            vars=arguments.vars,
            directory=arguments.directory,
            port=arguments.port,
        )
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with practice:
        sys.stdout.write(json.dumps(_reach(practice)) + "\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


def _reach(practice: PracticeHost) -> dict[str, object]:
    host, clock = practice.host, practice.clock
    return {
        "name": host.name,
        "address": host.address,
        "port": host.port,
        "user": host.user,
        "identity_file": host.identity_file,
        "known_hosts": host.known_hosts,
        "scale": clock.scale,
        "started": clock.started,
        "origin": clock.origin,
    }


if __name__ == "__main__":
    sys.exit(main())

"""Every limit of a link, in seconds, in one place so that tests can shorten them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A dead peer is reported within ``second_after + heart_every + heart_limit``.

    ``connect``: each of TCP connect, SSH negotiation, authentication and channel open.
    ``greeting``: how long a login shell may take to start ours. ``second_after``: how long a
    command runs before the second shell is opened for it.
    """

    connect: float = 10.0
    greeting: float = 30.0
    second_after: float = 0.3
    second_greeting: float = 25.0
    heart_every: float = 5.0
    heart_limit: float = 20.0
    tail_every: float = 1.0
    term_patience: float = 5.0
    kill_patience: float = 10.0


GREETING_NOISE = 1 << 20
"""Bytes a login shell may print before our greeting."""

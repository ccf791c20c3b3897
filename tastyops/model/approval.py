"""Which accounts may approve a step or speak to a run, by login and by the operators' names."""

from __future__ import annotations

from collections.abc import Collection

ROOT = 0
APPROVAL_WORDS = ("yes", "no", "y", "n")


def stranger(who: str, operators: Collection[str]) -> str:
    """Why another account's note is not taken; empty if it is. ``operators``: all, if empty."""
    if operators and who not in operators:
        return f"{who} is not among the inventory's operators"
    return ""


def refusal(
    account: int, who: str, own: Collection[int], started_by: str, approvers: Collection[str]
) -> str:
    """Why an account is not another operator of a run; empty if it is.

    ``own``: the uids of whoever started the run.
    """
    if account == ROOT:
        return "root is nobody in particular"
    if account in own or who == started_by:
        return f"{who} began this run"
    return stranger(who, approvers)

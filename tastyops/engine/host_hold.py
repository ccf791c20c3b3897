"""A run's hold on one host: taken at its first connection, taken again at every later one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tastyops.errors import Fenced, HostUnsuitable, Locked, SameMachine, TastyopsError
from tastyops.local.controller import controller_of, this_controller
from tastyops.ports import Session
from tastyops.protocol.host_lock import Holder, Lock

_OTHER_ACCOUNT = (
    "The lock is another account's: take the host over as that one or as root, or remove {} there."
)
_UNTOUCHED = "This run did nothing there. What the other one began goes on."


@dataclass(frozen=True, slots=True)
class Claim:
    """In whose name a run's hosts are held. ``epoch`` grows each time the run is gone on with."""

    run: str
    who: str = ""
    epoch: int = 1
    take_over: bool = False


class Hold:
    """The lock on one host, for as long as a run works there."""

    def __init__(self, name: str, claim: Claim) -> None:
        controller = this_controller()
        since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._wanted = Holder(
            claim.run, claim.epoch, name, claim.who, controller.machine, controller.boot_id,
            controller.pid, controller.started, since,
        )
        self._take_over = claim.take_over
        self._had = False

    @property
    def epoch(self) -> int:
        """The epoch it is held under."""
        return self._wanted.epoch

    def take(self, session: Session) -> str:
        """Takes the lock, or takes it again; says whose it was, if it was taken over.

        Raises Locked, SameMachine; Fenced when this run had it before; HostUnsuitable when there
        is no room for it; LinkLost.
        """
        wanted = replace(self._wanted, boot_id=session.hello.boot_id)
        # What a person allowed once is not allowed for the rest of the run: after a reboot
        # another run may hold the host for a good reason.
        lock = session.lock(wanted, take_over=self._take_over and not self._had)
        if lock.state != "taken":
            raise self._refusal(lock, session)
        self._had = True
        before = lock.holder
        return told(before) if before is not None and before.run != wanted.run else ""

    def _refusal(self, lock: Lock, session: Session) -> TastyopsError:
        ours, holder, path = self._wanted, lock.holder, session.hello.lock
        if lock.state == "full":
            return HostUnsuitable(
                f"{ours.name} has no room for the lock {path}.",
                still_true="No command was run there.",
                next_step="Make room there: it is kept in memory (a tmpfs).",
            )
        if lock.state == "same" and holder is not None:
            return SameMachine(
                f"{holder.name} and {ours.name} are the same machine.",
                still_true=f"This run works there as {holder.name}; as {ours.name} it did nothing.",
                next_step="Correct the inventory, or choose one of the names with --host.",
            )
        whose = told(holder) if holder else f"somebody: {path} there is not a lock of tastyops"
        if self._had:
            return Fenced(
                f"{ours.name} is no longer this run's: it is held by {whose}.",
                still_true="What this run had begun there goes on or has ended; ask the host.",
                next_step="Settle it with whoever has the host now, then `invoke resume`.",
            )
        if lock.state == "fenced":
            return Locked(
                f"{ours.name} is held by a later attempt at this run: {whose}.",
                still_true=_UNTOUCHED,
                next_step="Leave it to that one; `invoke status` shows it.",
            )
        denied = lock.state == "denied"
        return Locked(
            f"{ours.name} is held by {whose}.{_standing(holder, session.hello.boot_id)}",
            still_true=_UNTOUCHED,
            next_step=_OTHER_ACCOUNT.format(path) if denied else _advice(holder),
        )


def told(holder: Holder) -> str:
    """Whose a lock is, in one clause."""
    process = f"process {holder.pid} on {holder.controller}" if holder.pid else "unknown process"
    who = holder.who or "unknown"
    name = f", as {holder.name}" if holder.name else ""
    return (
        f"run {holder.run} (epoch {holder.epoch}{name}) of {who}, {process}, "
        f"since {holder.since or 'an unknown time'}"
    )


def _standing(holder: Holder | None, boot_id: str) -> str:
    """What can be seen of a holder from here."""
    if holder is None:
        return ""
    if holder.boot_id and holder.boot_id != boot_id:
        return " The host was rebooted since, so nothing of that run is under way there."
    return {
        True: " That process is alive.",
        False: " That process is gone.",
        None: " Whether that process is alive cannot be seen from this machine.",
    }[controller_of(holder).lives()]


def _advice(holder: Holder | None) -> str:
    if holder is None:
        return "Find out what it is; --take-over replaces it."
    return (
        f"`invoke status` on its controller shows that run, and `invoke resume --run {holder.run}` "
        "goes on with it, or settles what it left in doubt and lets the host go. If it is over and "
        "has no record any more, take the host over with --take-over."
    )

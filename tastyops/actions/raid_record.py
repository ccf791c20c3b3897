"""``raid.record``: the mirrors in mdadm.conf and in every initial ramdisk."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.domain.raid import definitions, initrds, roster
from tastyops.domain.raid.storage import read_storage
from tastyops.errors import Failed, Refused
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Output, Probe, Steps, Unknown

_PLACES = ("/etc/mdadm/mdadm.conf", "/etc/mdadm.conf")
_READ = (
    *("sh", "-c", 'for f; do test ! -e "$f" || { echo "$f"; exec cat "$f"; }; done', "sh"),
    *_PLACES,
)
_WRITE = (
    'new=$(mktemp "$1.XXXXXX") && { test ! -e "$1" || cp -p "$1" "$new"; } && cat > "$new" &&'
    ' chmod a+r "$new" && sync "$new" && mv "$new" "$1"'
)


@dataclass(frozen=True, kw_only=True)
class RaidRecord:
    """The parameters of ``raid.record``."""

    initrds: bool = param("boolean", "Also rebuild initial ramdisks that lack an array", True)


@action(
    "raid.record",
    returns={"arrays": "device", "rebuilt": "version", "conf": "private", "changed": "flag"},
    sentence=(
        "RAID mirrors recorded in the configuration;"
        " {{ rebuilt | length }} initial ramdisks made again."
    ),
    already="RAID mirrors stand in the configuration as they are.",
)
def raid_record(params: RaidRecord, facts: Facts) -> Steps:
    """Record every RAID1 mirror in mdadm.conf, once, and in the initial ramdisks (Debian)."""
    storage = yield from read_storage()
    if storage is None:
        return None
    arrays = [
        (array, definitions.uuid_of(storage, array))
        for array in storage.arrays
        if not array.out_of_scope
    ]
    uuids = frozenset(uuid for _, uuid in arrays)
    path, conf = yield from _conf()
    wanted = definitions.reconcile_definitions(conf, arrays)
    stale: dict[str, int] = {}
    if params.initrds:
        if not (yield Probe(initrds.MADE_BY, "holds")):
            raise Refused(
                "initial ramdisks are not made by initramfs-tools here: set `initrds: false`,"
                " and rebuild them by hand"
            )
        stale = yield from initrds.outdated_initrds(uuids)
        if stale:
            yield from initrds.require_room(list(stale.values()))
    yield from roster.record_serials(storage, exactly=True)
    if wanted != conf:
        yield from _write(path, wanted)
    for release, size in stale.items():
        yield from initrds.remake(release, size, uuids)
    return {
        "arrays": [array.path for array, _ in arrays],
        "rebuilt": list(stale),
        "conf": path,
        "changed": wanted != conf or bool(stale),
    }


def _conf() -> Generator[Command, Any, tuple[str, str]]:
    """Where mdadm.conf is, and what it says; Debian's place where there is none."""
    answer: Output = yield Probe(_READ, sudo=True)
    path, _, conf = answer.text.partition("\n")
    if not answer.ok or (path and path not in _PLACES):
        raise Failed("mdadm.conf cannot be read")
    if "\N{REPLACEMENT CHARACTER}" in conf:
        raise Failed("mdadm.conf is not UTF-8 text, so it cannot be written back as it is")
    return path or _PLACES[0], conf


def _write(path: str, conf: str) -> Generator[Command, Any, None]:
    """Replaces it in one go, so that nothing ever reads half of it."""
    text = conf.encode("utf-8")
    sha = hashlib.sha256(text).hexdigest()
    written: Output | Unknown = yield Change(
        ("sh", "-c", _WRITE, "sh", path),
        stdin=text,
        sudo=True,
        settle=Probe(
            ("sh", "-c", 'echo "$2  $1" | sha256sum --check --status', "sh", path, sha),
            "holds",
            sudo=True,
        ),
    )
    require(written, "mdadm.conf could not be written")

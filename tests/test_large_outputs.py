"""Outputs larger than the limit: their excerpts, and judgements based on one."""

from __future__ import annotations

import hashlib
import json

import pytest

from tastyops.domain.storage.checking import judged, repaired
from tastyops.errors import Failed, JournalDamaged, ProbeFailed
from tastyops.facts.parsers import PARSERS, parse
from tastyops.journal.evidence import visible_lines
from tastyops.model.commands import (
    PARSE_LIMIT,
    Blob,
    Output,
    blob_from_json,
    blob_to_json,
    text_between_cuts,
)

INLINE = 4096


def blob(data: bytes, *, loads: bool = True) -> Blob:
    """The bytes as the journal keeps them: the ends inside, the whole as a file beside it."""
    if len(data) <= INLINE:
        return Blob.of(data)
    load = (lambda: data) if loads else None
    digest = hashlib.sha256(data).hexdigest()
    return Blob(digest, len(data), data[:INLINE], data[-INLINE:], load)


def large(begins: bytes, line: bytes, ends: bytes) -> Blob:
    return blob(begins + line * (PARSE_LIMIT // len(line) + 1) + ends)


@pytest.mark.parametrize("size", [0, 1, INLINE, INLINE + 1, 2 * INLINE, PARSE_LIMIT])
def test_an_output_within_the_limit_is_whole(size: int) -> None:
    kept = blob(b"x" * size)
    assert kept.whole
    assert kept.excerpt() == "x" * size


@pytest.mark.parametrize("size", [PARSE_LIMIT + 1, 2 * PARSE_LIMIT])
def test_a_larger_one_says_that_it_is_cut(size: int) -> None:
    kept = blob(b"a" + b"x" * (size - 2) + b"z")
    text = kept.excerpt()
    assert not kept.whole
    assert (text[0], text[-1]) == ("a", "z")
    assert f"[{size - 2 * INLINE} of {size} bytes are left out here" in text
    with pytest.raises(ProbeFailed, match=f"{size} bytes"):
        kept.read()


@pytest.mark.parametrize("size", [INLINE + 1, INLINE + 700, 2 * INLINE - 1, 2 * INLINE])
def test_two_ends_that_overlap_are_one_text(size: int) -> None:
    data = bytes(33 + at % 90 for at in range(size))
    assert blob(data, loads=False).excerpt() == data.decode()


def test_an_output_that_was_lost_since_leaves_its_ends() -> None:
    def gone() -> bytes:
        raise JournalDamaged("The output is missing.")

    kept = Blob("0" * 64, 3 * INLINE, b"a" * INLINE, b"z" * INLINE, gone)
    assert kept.excerpt().startswith("aaa")
    assert kept.excerpt().endswith("zzz")


@pytest.mark.parametrize("cut", range(1, 4))
@pytest.mark.parametrize("letter", ["\N{EURO SIGN}", "\N{ROCKET}", "é"])
def test_parts_of_characters_at_a_cut_are_left_away(letter: str, cut: int) -> None:
    data = letter.encode() * 5
    text = text_between_cuts(data[min(cut, len(letter.encode()) - 1) :])
    assert set(text) == {letter}
    assert text_between_cuts(data[:-1], begun=True) == letter * 4


def test_bytes_that_are_no_characters_are_replaced() -> None:
    assert text_between_cuts(b"a\xe4b", begun=True) == "a\N{REPLACEMENT CHARACTER}b"
    assert visible_lines(b"\x80\xbfx\ny\xff\xfe") == ["x", "y" + 2 * "\N{REPLACEMENT CHARACTER}"]


@pytest.mark.parametrize("data", [b"caf\xe9 " * 900, "\N{SNOWMAN}".encode() * 4001, b"\0\1" * 5000])
def test_the_journal_keeps_the_very_bytes_of_both_ends(data: bytes) -> None:
    kept = blob_from_json(json.loads(json.dumps(blob_to_json(blob(data)))))
    assert (kept.size, kept.head, kept.tail) == (len(data), data[:INLINE], data[-INLINE:])


TOO_MUCH = large(b"{", b'"key": "value",\n', b"}")


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_no_parser_reads_half_an_answer(name: str) -> None:
    """It fails, or it needs no output at all."""
    whole = Output(0, TOO_MUCH)
    try:
        found = parse(name, whole)
    except ProbeFailed:
        return
    assert name in ("output", "holds") or found == parse(name, Output(0, Blob.of(b"{}")))


# -- what fsck says -----------------------------------------------------------------------------

E2FSCK = large(
    b"e2fsck 1.47.0\nPass 1: Checking inodes\n",
    b"Inode 12, i_blocks is 8, should be 0.  Fix? yes\n",
    b"/dev/md0: ***** FILE SYSTEM WAS MODIFIED *****\n",
)
XFS = large(
    b"Phase 1 - find and verify superblock...\n",
    b"disconnected inode 131, moving to lost+found\n",
    b"done\n",
)


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_a_repair_that_says_much_was_done(status: int) -> None:
    done = repaired("ext4", Output(status, E2FSCK))
    assert done is not None
    assert done.changed is (status != 0)
    assert done.truncated
    assert done.errors > 0


@pytest.mark.parametrize("status", [4, 8, 12, 16, 32, 128])
def test_a_repair_that_says_much_and_was_not_done(status: int) -> None:
    with pytest.raises(Failed, match="left errors uncorrected"):
        repaired("ext4", Output(status, E2FSCK))


@pytest.mark.parametrize(("status", "changed"), [(0, False), (4, True)])
def test_the_same_of_xfs_repair(status: int, changed: bool) -> None:
    done = repaired("xfs", Output(status, err=XFS))
    assert done is not None
    assert (done.changed, done.truncated) == (changed, True)
    with pytest.raises(Failed, match="did not finish"):
        repaired("xfs", Output(1, err=XFS))
    assert repaired("xfs", Output(2, err=XFS)) is None


@pytest.mark.parametrize("ended", [{"timed_out": True}, {"stopped": True}])
def test_a_repair_that_was_ended_is_none_whatever_it_said(ended: dict[str, bool]) -> None:
    with pytest.raises(Failed, match=r"it was stopped|timeout"):
        repaired("ext4", Output(137, E2FSCK, **ended))  # type: ignore[arg-type]


def test_a_check_that_says_much() -> None:
    assert judged("ext4", Output(4, E2FSCK)).state == "damaged"
    assert judged("ext4", Output(0, E2FSCK)).state == "clean"
    verdict = judged("xfs", Output(1, err=XFS))
    assert (verdict.state, verdict.truncated) == ("damaged", True)
    dirty = large(
        b"Phase 1 - find\nALERT: The filesystem has valuable metadata changes in a log which is"
        b" being\nignored\n",
        b"disconnected inode 131, would move to lost+found\n",
        b"done\n",
    )
    assert judged("xfs", Output(1, err=dirty)).state == "dirty_log"
    fatal = large(
        b"Phase 1 - find\n",
        b"disconnected inode 131, would move to lost+found\n",
        b"fatal error -- couldn't read\n",
    )
    with pytest.raises(Failed, match="could not check"):
        judged("xfs", Output(1, err=fatal))

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.redact import MASK, Masker
from tests.encoders import encoders

SECRET = "pa55 w'ord/+\"é"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        shlex.quote(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        quote(SECRET),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"x" + SECRET.encode() + b"y").decode(),
        base64.b64encode(b"xy" + SECRET.encode() + b"z").decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_every_form_a_program_is_likely_to_print_is_masked(form: str) -> None:
    masked = Masker([SECRET]).mask(b"before " + form.encode() + b" after")
    assert MASK in masked
    assert SECRET.encode() not in masked
    for at in range(len(form) - 8):
        piece = form[at : at + 9].encode()
        assert piece not in masked, piece


@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(1, 20))
def test_a_secret_cut_by_chunk_boundaries_is_masked(before: bytes, after: bytes, size: int) -> None:
    data = before + b"hunter2-hunter2" + after
    stream = Masker(["hunter2-hunter2"]).stream()
    out = b"".join(stream.feed(data[i : i + size]) for i in range(0, len(data), size))
    out += stream.finish()
    assert b"hunter2-hunter2" not in out
    assert out == Masker(["hunter2-hunter2"]).mask(data)


def test_without_secrets_nothing_is_held_back() -> None:
    stream = Masker().stream()
    assert stream.feed(b"as it comes") == b"as it comes"
    assert stream.finish() == b""


@pytest.mark.parametrize("secret", ["hunter2-hunter3", "k" + "abcdefghij" * 7, "aaaaaaaab"])
def test_a_piece_that_cuts_a_secret_shows_none_of_it(secret: str) -> None:
    """As the live screen shows the end of an output: from anywhere, up to anywhere."""
    stream = b"user " + secret.encode() + b" ok " + secret.encode() + b"."
    masker = Masker([secret])
    for start in range(len(stream)):
        for end in range(start + 1, min(len(stream), start + len(secret) + 30) + 1, 1 + start % 3):
            shown = masker.glimpse(stream[start:end]).replace(MASK, b"|")
            left = [p for p in shown.split(b"|") if len(p) > 2]
            cut = [p for p in left if p in secret.encode()]
            assert cut == [], (start, end, shown)


def test_a_piece_without_a_secret_is_as_it_was() -> None:
    assert Masker(["hunter2-hunter3"]).glimpse(b"nothing of it") == b"nothing of it"
    assert Masker().glimpse(b"hunter2") == b"hunter2"


# -- what real programs print ------------------------------------------------------------------

PRINTED = [
    'k$é"' + "abcdefghij" * 6 + "klmnop",
    "Pa55 w'ord/+\"é",
    "two\nlines of a\nsecret",
    "C:\\new\\x41 a''b",
    "пароль-123$",
]
"""Secrets with what a shell, C, JSON and a URL each escape, and longer than a line of base64."""


def readable(secret: str, shown: bytes) -> list[bytes]:
    """Pieces of the secret that anybody can read in what is shown, or decode from it."""
    plain = secret.encode()
    pieces = {plain[at : at + 6] for at in range(len(plain) - 5)}
    as_base64 = shown.translate(bytes.maketrans(b"-_", b"+/"))
    digits = re.sub(rb"0x|\\x|[^0-9a-f]", b"", shown.lower())
    left = [piece for piece in pieces if piece in shown]
    left += [piece for piece in pieces if piece.hex().encode() in digits]
    for lead in range(3):
        start = (lead * 8 + 5) // 6
        core = base64.b64encode(b"\0" * lead + plain)[start : (lead + len(plain)) * 8 // 6]
        left += [core[at : at + 8] for at in range(len(core) - 7) if core[at : at + 8] in as_base64]
    return left


@pytest.mark.parametrize("encoder", encoders())
def test_nothing_readable_is_left_of_a_secret_that_a_real_program_printed(
    encoder: str, tmp_path: Path
) -> None:
    for secret in PRINTED:
        printed = encoders()[encoder](secret, tmp_path)
        assert readable(secret, Masker([secret]).mask(printed)) == [], (secret, printed)


@pytest.mark.parametrize("secret", PRINTED)
@pytest.mark.parametrize("size", [1, 7, 500, 65536])
def test_chunks_of_any_size_are_masked_as_the_whole_is(
    secret: str, size: int, tmp_path: Path
) -> None:
    some = ["base64, cat -n at 1", "bash declare -p, C", "hexdump -C at 5", "python"]
    printed = b"\n--\n".join(encoders()[name](secret, tmp_path) for name in some)
    stream = Masker([secret]).stream(at_least=1)
    chunks = [printed[at : at + size] for at in range(0, len(printed), size)]
    out = b"".join([*map(stream.feed, chunks), stream.finish()])
    assert out == Masker([secret]).mask(printed)
    assert readable(secret, out) == []


_CHARACTERS = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=8, max_size=40
)


@given(_CHARACTERS, st.integers(0, 60), st.sampled_from([20, 64, 76]), st.integers(1, 40))
def test_wrapped_base64_of_any_secret_at_any_place_is_masked(
    secret: str, lead: int, width: int, size: int
) -> None:
    encoded = base64.b64encode(b"." * lead + secret.encode() + b" and more")
    lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
    stream = Masker([secret]).stream(at_least=1)
    data = b"\r\n".join(lines)
    out = b"".join(stream.feed(data[at : at + size]) for at in range(0, len(data), size))
    out += stream.finish()
    start = (lead * 8 + 5) // 6
    core = encoded[start : (lead + len(secret.encode())) * 8 // 6]
    shown = out.replace(b"\r\n", b"")
    assert MASK in out
    assert not [core[at : at + 8] for at in range(len(core) - 7) if core[at : at + 8] in shown]


@given(_CHARACTERS)
def test_escapes_of_any_secret_are_masked(secret: str) -> None:
    escaped = [
        json.dumps(json.dumps([secret])), repr(secret), ascii(secret), quote(secret, safe=""),
        "".join(f"\\x{byte:02x}" for byte in secret.encode()),
        "$'" + "".join(f"\\{byte:03o}" for byte in secret.encode()) + "'",
        "".join(f"&#{ord(each)};" for each in secret),
        "".join(f"%{byte:02x}" for byte in secret.encode()), secret.encode().hex(" "),
        shlex.quote(shlex.quote(secret)),
    ]  # fmt: skip
    masker = Masker([secret])
    for form in escaped:
        masked = masker.mask(f"<{form}>".encode())
        assert len(masked) < len(MASK) + 24, (form, masked)


@given(st.binary(max_size=4000))
def test_what_holds_no_secret_is_left_alone(data: bytes) -> None:
    assert Masker(["S3cr3t/with spaces"]).mask(data) == data


def test_ordinary_output_is_left_alone() -> None:
    """Dumps, base64 and program text that have much in common with a secret but do not hold it."""
    secret = "abcdef-123456-abcdef"
    near = [
        b"abcdef-123456-abcde\n", b"abcdef 123456\n", b"616263646566\n", base64.b64encode(b"abcdef-123456"),
        b"00000000  61 62 63 64 65 66 2d 31  32 33 34 35 36 2d 61 62  |abcdef-123456-ab|\n",
    ]  # fmt: skip
    for each in near:
        assert Masker([secret]).mask(each) == each


@pytest.mark.parametrize(
    "printed",
    [base64.encodebytes, lambda data: data.hex().encode(), lambda data: repr(data).encode()],
)
def test_a_piece_that_cuts_a_spelled_secret_shows_none_of_it(
    printed: Callable[[bytes], bytes],
) -> None:
    secret = 'k$é"abcdefghijabcdefgh-0123456789'
    shown = printed(b"user " + secret.encode() + b" ok")
    masker = Masker([secret])
    for cut in range(12, len(shown) - 12):
        for piece in (shown[:cut], shown[cut:]):
            assert readable(secret, masker.glimpse(piece)) == [], piece

from __future__ import annotations

import base64
import json
import shlex
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.redact import MASK, Masker

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
        for end in range(start + 1, min(len(stream), start + len(secret) + 30) + 1):
            shown = masker.glimpse(stream[start:end]).replace(MASK, b"|")
            left = [p for p in shown.split(b"|") if len(p) > 2]
            cut = [p for p in left if p in secret.encode()]
            assert cut == [], (start, end, shown)


def test_a_piece_without_a_secret_is_as_it_was() -> None:
    assert Masker(["hunter2-hunter3"]).glimpse(b"nothing of it") == b"nothing of it"
    assert Masker().glimpse(b"hunter2") == b"hunter2"

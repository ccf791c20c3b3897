"""Valid files, damaged in the ways files get damaged, and a count of the attempts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

TRIED: Counter[str] = Counter()
"""Inputs tried in this process, by what they were given to."""

SCALE = float(os.environ.get("TASTYOPS_PROPERTY_SCALE", "1"))
"""How many times the usual number of inputs; 1 takes seconds, 100 is for a night."""


def examples(count: int) -> settings:
    """So many inputs, times the scale; how long one may take the tests say themselves."""
    return settings(
        max_examples=max(1, int(count * SCALE)), deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


ODD = (
    "\0", "\t", "\r", "\u0085", "\u2028", "\ufeff", "\u202e", "\ud7ff", "\U0001f600", "é", "ß", "İ",
    "\u0301", "٣", "①", "\x1b[2J", "\x7f",
)  # fmt: skip
NUMBERS = (
    "9" * 400, "-" + "9" * 63, "1e99999", "1e-99999", ".inf", ".nan", "0x" + "f" * 80, "0o777", "1_000",
    "6.10", "0644", "-0", "9" * 64 + "." + "9" * 64, "999999999d", "1e308s", "٣", "1.5.2",
)  # fmt: skip
TOKENS = (
    "{{ ", " }}", "{% if a %}", "{% endif %}", "{{ host.__class__ }}", "{{ x | join }}", "{{ 10**99 }}",
    "{{ [1] * 99 }}", "{{ 'a' * 99 }}", "<<: *a", "&a ", "*a", "!!python/object:os.system ", "? ", ": ", "- ", "| \n", ">+1\n",
    "'", '"', "\\x", "\\ud800", "\\U00110000", "---\n", "...\n", "%YAML 1.3\n", "#", "true", "no", "~", "none",
    "[" * 70, "{a: " * 70, "- " * 70, "when: ", "register: x\n", "publish: true\n", "hosts: none", "secret: true",
    "source: {command: [a]}", "duration", "default: ", "retries: ", "id: ",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, files: Sequence[bytes]) -> bytes:
    """One of the files after a few accidents: bytes flipped, pieces lost, doubled, spliced in."""
    data = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.sampled_from([1, 2, 5, 20, 200]))
        end = min(len(data), at + length)
        match draw(st.integers(0, 6)):
            case 0:
                byte = bytes([draw(st.integers(0, 255))])
                data = data[:at] + byte + data[at + 1 :]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:at] + data[at:end] * draw(st.integers(2, 30)) + data[end:]
            case 3:
                other = draw(st.sampled_from(files))
                start = draw(st.integers(0, max(0, len(other) - 1)))
                data = data[:at] + other[start : start + length] + data[end:]
            case 4:
                word = draw(st.sampled_from([*ODD, *NUMBERS, *TOKENS]))
                data = data[:at] + word.encode("utf-8", "surrogatepass") + data[at:]
            case 5:
                data = _line(draw, data)
            case 6:
                data = data[:at] + draw(st.binary(max_size=20)) + data[at:]
    return data


def _line(draw: st.DrawFn, data: bytes) -> bytes:
    """A line that is lost, doubled, moved, indented, or has another value."""
    lines = data.split(b"\n")
    at = draw(st.integers(0, len(lines) - 1))
    to = draw(st.integers(0, len(lines) - 1))
    match draw(st.integers(0, 4)):
        case 0:
            del lines[at]
        case 1:
            lines.insert(to, lines[at])
        case 2:
            lines[at], lines[to] = lines[to], lines[at]
        case 3:
            lines[at] = b" " * draw(st.integers(1, 8)) + lines[at].lstrip()
        case 4:
            key, colon, _ = lines[at].partition(b":")
            value = draw(st.sampled_from([*NUMBERS, *TOKENS, *ODD]))
            lines[at] = key + colon + b" " + value.encode()
    return b"\n".join(lines)


def anything() -> st.SearchStrategy[bytes]:
    """Bytes and text of no kind at all."""
    texts = st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))
    words = st.lists(st.sampled_from([*ODD, *NUMBERS, *TOKENS, "a", "\n", "  ", ": "]), max_size=40)
    return st.one_of(st.binary(max_size=300), texts, words.map(lambda some: "".join(some).encode()))


JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.sampled_from(["", 0, -1, 10**30, 1e999, "9" * 5000, "in doubt", "2026-01-01T00:00:00.000000Z"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip


def changed(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with one thing in it, however deep, replaced, removed or added."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        match draw(st.integers(0, 5)):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, draw(st.text(max_size=5)): draw(JSON)}
        return {**value, key: changed(draw, value[key])}
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], changed(draw, value[at]), *value[at + 1 :]]
    return draw(JSON)

"""Bytes to a marked tree: what is refused, at which place, and that reading always ends."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tastyops.errors import InvalidFile, Place
from tastyops.model.runbook import Marked
from tastyops.runbook import yaml_reader
from tastyops.runbook.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode, plain_value


def problems(data: bytes) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        yaml_reader.parse(data, "f.yml")
    return [str(problem) for problem in caught.value.problems]


def seen(error: InvalidFile) -> None:
    assert error.problems
    for problem in error.problems:
        assert problem.place.line >= 1
        assert problem.place.column >= 1
        assert problem.message.isprintable()


BAD = {
    "empty": (b"", "f.yml:1:1: the file is empty"),
    "only a comment": (b"# nothing\n", "f.yml:1:1: the file is empty"),
    "only a document start": (b"---\n", "f.yml:1:1: the file is empty"),
    "tab": (b"a:\n\tb: 1\n", "f.yml:2:1: a tab is used for indentation"),
    "tab after spaces": (b"a:\n  \tb: 1\n", "f.yml:2:3: a tab is used for indentation"),
    "duplicate": (
        b"a: 1\nb: 2\na: 3\n",
        "f.yml:3:1: the key 'a' is here twice, first at f.yml:1:1",
    ),
    "duplicate in quotes": (b"a: 1\n'a': 3\n", "f.yml:2:1: the key 'a' is here twice"),
    "two documents": (b"a: 1\n---\nb: 2\n", "f.yml:2:1: a second document begins here"),
    "python tag": (
        b"a: !!python/object/apply:os.system [x]\n",
        "f.yml:1:4: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is refused",
    ),
    "own tag": (b"a: !x y\n", "f.yml:1:4: the tag '!x' is refused"),
    "not UTF-8": ("é: ".encode() + b"\xff\n", "f.yml:1:4: the byte 0xff is not UTF-8"),
    "UTF-16": ("a: 1".encode("utf-16"), "f.yml:1:1: the byte 0xff is not UTF-8"),
    "NUL": (b"a: 1\nb: x\0y\n", "f.yml:2:5: a NUL stands in the file"),
    "escape": (b"a: \x1b[2J\n", "f.yml:1:4: the control character U+001B stands in the file"),
    "line separator": ("a: x\u2028y".encode(), "f.yml:1:5: the control character U+2028"),
    "bidi override": (
        "a: 1\nb: x\u202ey\n".encode(),
        "f.yml:2:5: the control character U+202E stands in the file (it changes the order in which",
    ),
    "bidi isolate in a key": (
        "a\u2066b: 1\n".encode(), "f.yml:1:2: the control character U+2066 stands in the file",
    ),
    "bidi in a comment": ("a: 1 # x\u2069\n".encode(), "f.yml:1:9: the control character U+2069"),
    "bidi by an escape": (
        b'a: 1\nb: ["x\\u202Ey"]\n', "f.yml:2:5: an escape stands here for the control character U+202E (",
    ),
    "bidi by an escape in a key": (
        b'a: {"x\\u2067": 1}\n', "f.yml:1:5: an escape stands here for the control character U+2067",
    ),
    "NUL by an escape": (b'a: "x\\0"\n', "f.yml:1:4: an escape stands here for a NUL"),
    "merge": (b"a: &a {x: 1}\nb:\n  <<: *a\n", "f.yml:3:3: merging with '<<' is refused"),
    "list as key": (b"? [a]\n: b\n", "f.yml:1:3: a key must be a word"),
    "empty key": (b"? \n: b\n", "f.yml:1:2: the key is empty"),
    "alias as key": (b"a: &x y\n*x : z\n", "f.yml:2:1: a key cannot be an alias"),
    "loop": (b"a: &x [1, *x]\n", "f.yml:1:11: the alias '*x' stands inside its own anchor"),
    "no anchor": (b"a: &ab 1\nb: *abc\n", "f.yml:2:4: no anchor '&abc' stands above"),
    "unquoted braces": (b"w: {{ host }}\n", "f.yml:1:5: a key must be a word (quote a value that"),
    "open quote": (b'a: 1\nb: "x\n', "f.yml:2:4: a quoted text is not closed"),
    "open list": (b"a: [1,\n", "f.yml:2:1: "),
    "colon": (b"a: b: c\n", "f.yml:1:5: a ':' stands where no key can be"),
    "dedent": (b"  a: 1\nb: 2\n", "f.yml:2:1: something stands after the end"),
    "at sign": (b"a: @b\n", "f.yml:1:4: a value cannot begin with this character"),
    "too large": (b"a: " + b"x" * yaml_reader.MAX_BYTES, "f.yml:1:1: the file is larger than 1024 KiB"),
    "deep list": (b"[" * 5000, "f.yml:1:65: this is nested more than 64 deep"),
    "deep block": (b"- " * 5000, "f.yml:1:129: this is nested more than 64 deep"),
    "deep mapping": (b"{a: " * 5000, "f.yml:1:257: this is nested more than 64 deep"),
}


@pytest.mark.parametrize(("data", "said"), BAD.values(), ids=BAD)
def test_refused_with_its_place(data: bytes, said: str) -> None:
    assert problems(data)[0].startswith(said)


def laughs(levels: int) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]")
    return "\n".join(lines).encode()


HUGE = {
    "laughs": laughs(30),
    "long text laughs": b"a: &a " + b"x" * 500_000 + b"\nb: [" + b"*a, " * 5000 + b"]",
    "chain": "\n".join(
        ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200))]
    ).encode(),
    "many": b"- x\n" * 250_000,
    "brackets": b"[" * 1_000_000,
    "questions": b"? " * 500_000,
    "duplicates": b"a: 1\n" * 40_000,
    "anchors": b"&a " * 300_000,
}


@pytest.mark.parametrize("data", HUGE.values(), ids=HUGE)
def test_huge_ends_soon(data: bytes) -> None:
    began = time.process_time()
    assert len(problems(data)) <= yaml_reader.MAX_PROBLEMS + 1
    assert time.process_time() - began < 10


def test_all_recoverable_problems_at_once() -> None:
    found = problems(b"a: 1\na: 2\nb: !x 1\n<<: 2\n? [x]\n: 1\n")
    assert [line.split(": ")[0] for line in found] == [
        "f.yml:2:1",
        "f.yml:3:4",
        "f.yml:4:1",
        "f.yml:5:3",
    ]


def test_the_tree() -> None:
    tree = yaml_reader.parse(b"\xef\xbb\xbfa: 1\nb:\n  - 'x'\n  - {c: d}\n", "f.yml")
    assert tree == MappingNode(
        (
            (ScalarNode("a", True, Place("f.yml", 1, 1)), ScalarNode("1", True, Place("f.yml", 1, 4))),
            (
                ScalarNode("b", True, Place("f.yml", 2, 1)),
                SequenceNode(
                    (
                        ScalarNode("x", False, Place("f.yml", 3, 5)),
                        MappingNode(
                            (
                                (
                                    ScalarNode("c", True, Place("f.yml", 4, 6)),
                                    ScalarNode("d", True, Place("f.yml", 4, 9)),
                                ),
                            ),
                            Place("f.yml", 4, 5),
                        ),
                    ),
                    Place("f.yml", 3, 3),
                ),
            ),
        ),
        Place("f.yml", 1, 1),
    )


def test_an_alias_stands_for_its_anchor() -> None:
    tree = yaml_reader.parse(b"a: &x [1]\nb: *x\n", "f.yml")
    assert isinstance(tree, MappingNode)
    assert tree.entries[0][1] is tree.entries[1][1]


def test_tabs_inside_a_block_text_are_text() -> None:
    tree = yaml_reader.parse(b"a: |\n  x\n  \ty\n", "f.yml")
    assert isinstance(tree, MappingNode)
    assert tree.entries[0][1].text == "x\n\ty\n"  # type: ignore[union-attr]


MEANINGS = {
    "null": None,
    "~": None,
    "": None,
    "true": True,
    "False": False,
    "5": 5,
    "-5": -5,
    "0o17": 15,
    "0x1F": 31,
    "1.5": 1.5,
    "1e3": 1000.0,
    ".5": 0.5,
    "23:55": "23:55",
    "yes": "yes",
    "on": "on",
    "1_000": "1_000",
    ".inf": ".inf",
    ".nan": ".nan",
    "1e999": "1e999",
    "2009-07-14": "2009-07-14",
    "9" * 5000: "9" * 5000,
    "tRue": "tRue",
    "٣": "٣",
}


@pytest.mark.parametrize(("text", "meaning"), MEANINGS.items())
def test_plain_values(text: str, meaning: object) -> None:
    value = plain_value(ScalarNode(text, True, Place("f")))
    assert value == meaning
    assert type(value) is type(meaning)
    assert plain_value(ScalarNode(text, False, Place("f"))) == text


WHERE = {
    "plain": b"a: one TWO\n",
    "single": b"a: 'one TWO'\n",
    "double": b'a: "one TWO"\n',
    "literal": b"a: |\n  one\n\n    more\n  TWO\n",
    "folded": b"a: >-\n  one\n  more\n\n  and TWO\n",
    "plain lines": b"a: one\n  more TWO\n",
    "double lines": b'a: "one\n  more TWO"\n',
    "escape before": b'a: "one \\\n  more TWO"\n',
    "nested": b"- - a: >\n      one\n      TWO\n",
}


@pytest.mark.parametrize("data", WHERE.values(), ids=WHERE)
def test_a_word_in_a_text_is_found_in_the_file(data: bytes) -> None:
    node = yaml_reader.parse(data, "f.yml")
    while not isinstance(node, ScalarNode):
        node = node.items[0] if isinstance(node, SequenceNode) else node.entries[0][1]
    lines = data.decode().split("\n")
    line = next(n for n, text in enumerate(lines) if "TWO" in text)
    place = Marked(node.text, node.place, node.lines).at(node.text.index("TWO"))
    assert place == Place("f.yml", line + 1, lines[line].index("TWO") + 1)


MARKS = "ab:-?[]{}&*!|>'\"#%@`, \n\t<~0\\"


@given(st.binary(max_size=400) | st.text(alphabet=MARKS, max_size=80).map(str.encode))
def test_any_bytes_give_a_tree_or_problems(data: bytes) -> None:
    try:
        yaml_reader.parse(data, "f")
    except InvalidFile as error:
        seen(error)


JSON = st.recursive(
    st.text(alphabet=st.characters(codec="utf-8", categories=("L", "N", "P", "Z")), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), inner, max_size=4)
    ),
    max_leaves=20,
)


def plain(node: Node) -> object:
    match node:
        case MappingNode():
            return {key.text: plain(value) for key, value in node.entries}
        case SequenceNode():
            return [plain(item) for item in node.items]
    return node.text


@given(JSON)
def test_what_is_written_is_read(value: object) -> None:
    if value == "" or (isinstance(value, str) and not value.strip()):
        return
    data = yaml.safe_dump(value, allow_unicode=False, default_style='"').encode()
    data = data.replace(b"!!str ", b"")
    assert plain(yaml_reader.parse(data, "f")) == value


def test_every_bidirectional_control_is_refused_and_its_neighbours_are_not() -> None:
    for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A)):
        (said,) = problems(f"title: a\n\nb: c{chr(code)}\n".encode())
        assert said.startswith(f"f.yml:3:5: the control character U+{code:04X} stands in the file")
        (said,) = problems(f'b: "\\u{code:04x}"\n'.encode())
        assert said.startswith(f"f.yml:1:4: an escape stands here for the control character U+{code:04X}")
    for code in (0x200E, 0x202F, 0x2065, 0x206A, 0x5D0):
        yaml_reader.parse(f'b: c{chr(code)} # "\\u{code:04x}"\n'.encode(), "f.yml")

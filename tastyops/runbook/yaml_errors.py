"""What a YAML parser complains of, said in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

_SAYINGS = (
    ("mapping values are not allowed", "a ':' stands where no key can be",
     "quote text that holds ': '"),
    ("could not find expected ':'", "a key without its ':'", "write 'key: value'"),
    ("did not find expected key", "this does not fit what stands above it",
     "check the indentation, quotes and brackets"),
    ("did not find expected '-' indicator", "this does not fit the list above it",
     "check the indentation"),
    ("expected ',' or ']'", "a list in [ ] lacks a ',' or its ']'", ""),
    ("expected ',' or '}'", "a mapping in { } lacks a ',' or its '}'", ""),
    ("unexpected end of stream", "a quoted text is not closed", ""),
    ("unexpected document separator", "a quoted text is not closed", ""),
    ("unknown escape character", "this backslash means nothing in double quotes",
     "double it, or use single quotes"),
    ("hexdecimal number", "this escape lacks its hexadecimal digits", ""),
    ("block sequence entries are not allowed", "a '-' stands where no list can begin",
     "put the list on the lines below its key"),
    ("expected <block end>", "this does not fit what stands above it", "check the indentation"),
    ("<document start>", "something stands after the end", "check the indentation"),
    ("expected alphabetic or numeric", "'&' or '*' must be followed by a name",
     "quote a value that begins with '&' or '*'"),
    ("cannot start any token", "a value cannot begin with this character", "quote it"),
    ("expected the node content", "a value is missing here", "check commas and brackets"),
    ("did not find expected node content", "a value is missing here", "check commas and brackets"),
)  # fmt: skip

_STARTS_WITH_BRACES = re.compile(r"\s*(?:-\s+)*(?:[^\s{}\"'#]+:\s+)?\{\{")


def in_plain_words(error: yaml.YAMLError, lines: Sequence[str]) -> tuple[int, int, str, str]:
    """Line, column, message and hint for a parser's error in a file of these ``lines``."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return 1, 1, "the file cannot be read as YAML", ""
    said = error.problem or error.context or ""
    mark = error.problem_mark or error.context_mark
    if "end of stream" in said or "document separator" in said:
        mark = error.context_mark or mark  # where it was opened helps, where the file ends does not
    if mark is None:
        return 1, 1, "the file cannot be read as YAML", ""
    line = lines[mark.line] if mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or "tab character" in said:
        column = indent.find("\t") + 1 or mark.column + 1
        return mark.line + 1, column, "a tab is used for indentation", "indent with spaces"
    for known, message, hint in _SAYINGS:
        if known in said:
            braces = _STARTS_WITH_BRACES.match(line)
            advice = "quote a value that begins with '{{'" if braces else hint
            return mark.line + 1, mark.column + 1, message, advice
    return mark.line + 1, mark.column + 1, f"this is not valid YAML: {said}", ""

"""The layer table is law: a module imports only from lower layers, imports in functions counted."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "tastyops"

LAYERS = [
    {"errors", "model", "redact"},
    {"source", "templates", "window", "commands", "shell", "probes"},
    {"actions", "reboot", "mirrors", "storage", "inventory", "validate", "journal"},
    {"plan", "document", "advance", "ports", "schema"},
    {"engine", "plainfile"},
    {"catalogue", "ssh", "store", "console", "power", "terminal", "announce", "site", "fleet"},
    {"cli"},
    {"__main__"},
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
BESIDE = {"practice", "lab"}
"""Stand beside the layers; only the command line (and tests) import them."""

ALLOWED_WITHIN = {
    ("model", "errors"),
    ("actions", "reboot"),
    ("actions", "mirrors"),
    ("actions", "storage"),
    ("advance", "plan"),
    ("console", "ssh"),
}
"""Same-layer imports, each written down in docs/decisions/0001-units-of-the-layer-table.md."""

PURE = {name for number in range(4) for name in LAYERS[number]}
IMPURE_MODULES = {
    "socket",
    "subprocess",
    "threading",
    "time",
    "random",
    "secrets",
    "requests",
    "tempfile",
}
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "__import__"}
IMPURE_METHODS = {"now", "utcnow", "today", "read_text", "read_bytes"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def unit(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


@cache
def imports(path: Path) -> tuple[tuple[str, int], ...]:
    """Every import anywhere in the file, relative ones resolved, as dotted names."""
    return tuple(_imports(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of the file's syntax tree; reading it takes longer than all that is asked of it."""
    return tuple(ast.walk(ast.parse(path.read_text())))


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    package = list(path.relative_to(ROOT.parent).with_suffix("").parts)
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((f"{stem}.{alias.name}", node.lineno) for alias in node.names)


def project_imports(path: Path) -> Iterator[tuple[str, int]]:
    for name, line in imports(path):
        parts = name.split(".")
        if parts[0] == "tastyops" and len(parts) > 1 and parts[1] != "__version__":
            yield parts[1], line


def wrong_imports(path: Path) -> Iterator[str]:
    """Each import of the file that does not go down, with its line."""
    own = unit(path)
    for other, line in project_imports(path):
        where = f"{path.relative_to(ROOT)}:{line} imports {other}"
        if own != other and not may_import(own, other):
            yield where


def may_import(own: str, other: str) -> bool:
    """Whether the table lets a module of the unit ``own`` import from the unit ``other``."""
    if own in BESIDE:
        return other in LAYER and LAYER[other] < LAYER["engine"]
    if other in BESIDE:
        return own == "cli"
    if not {own, other} <= LAYER.keys():
        return False
    return LAYER[other] < LAYER[own] or (own, other) in ALLOWED_WITHIN


def impurities(path: Path) -> Iterator[str]:
    """What does I/O in the file, or reads a clock, each with its line."""
    for name, line in imports(path):
        if name.split(".")[0] in IMPURE_MODULES:
            yield f"{path.relative_to(ROOT)}:{line} imports {name}"
    for node in nodes(path):
        if not isinstance(node, ast.Call):
            continue
        called = getattr(node.func, "id", None), getattr(node.func, "attr", None)
        if called[0] in IMPURE_CALLS or called[1] in IMPURE_METHODS:
            yield f"{path.relative_to(ROOT)}:{node.lineno} calls {called[0] or called[1]}()"


def test_imports_go_down() -> None:
    assert not [each for path in modules() for each in wrong_imports(path)]


def test_layers_0_to_3_do_no_io_and_read_no_clock() -> None:
    assert not [each for path in modules() if unit(path) in PURE for each in impurities(path)]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("advance/x.py", "from tastyops.engine import drive"),
        ("advance/x.py", "from ..engine import drive"),
        ("advance/x.py", "def f():\n    import tastyops.store"),
        ("engine/x.py", "from tastyops import ssh"),
        ("practice/x.py", "from tastyops.console import lines"),
        ("lab/x.py", "from tastyops.practice import server"),
        ("ssh/x.py", "from tastyops.practice import server"),
        ("ssh/x.py", "from tastyops.store import runs"),
        ("nowhere/x.py", "from tastyops import errors"),
        ("model/x.py", "from tastyops.nowhere import what"),
        ("__init__.py", "from tastyops import errors"),
    ],
)
def test_an_import_that_does_not_go_down_is_found(
    file: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, file, line, monkeypatch)
    (found,) = wrong_imports(path)
    assert found.startswith(f"{file}:{len(line.splitlines())} imports ")


@pytest.mark.parametrize(
    "line",
    [
        "import time", "from subprocess import run", "open('x')", "x.read_text()",
        "datetime.now(UTC)", "def f():\n    import socket", "def f():\n    return date.today()",
    ],
)  # fmt: skip
def test_io_and_a_clock_are_found(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = impurities(written(tmp_path, "model/x.py", line, monkeypatch))
    assert found.startswith(f"model/x.py:{len(line.splitlines())} ")


def written(folder: Path, file: str, line: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of another package, which the functions above take for the package itself."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", folder / "tastyops")
    path = folder / "tastyops" / file
    path.parent.mkdir(parents=True)
    path.write_text(line)
    return path


def test_no_import_cycle() -> None:
    names = {
        ".".join(p.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): p
        for p in modules()
    }
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        graph[name] = set()
        for imported, _ in imports(path):
            target = imported
            while target and target not in names:
                target = target.rpartition(".")[0]
            if target and target != name and not name.startswith(f"{target}."):
                graph[name].add(target)
    TopologicalSorter(graph).prepare()


def test_every_unit_has_a_layer() -> None:
    units = {unit(path) for path in modules()} - {"__init__"}
    assert units <= LAYER.keys() | BESIDE

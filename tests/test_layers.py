"""The table of packages is law: a module imports only what its row allows, in functions too."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "tastyops"

TABLE = {
    "errors": "",
    "redact": "",
    "protocol": "",
    "local": "protocol",
    "model": "protocol",
    "templates": "model",
    "facts": "model",
    "journal": "model protocol",
    "runbook": "model templates",
    "domain": "model facts",
    "actions": "model facts domain templates",
    "plan": "model templates facts journal",
    "ports": "model journal protocol",
    "engine": "model facts journal plan ports protocol local",
    "transport": "model facts ports protocol local",
    "records": "model journal ports protocol local",
    "publish": "model journal ports records local",
    "practice": "model facts ports protocol local",
    "lab": "model facts protocol local",
    "ui": "model journal plan ports records protocol local",
    "app": "model templates facts journal runbook domain actions plan ports engine transport records "
    "publish practice lab protocol local",
    "cli": "app ui model records",
}
"""Which packages a package may import besides its own, ``errors`` and ``redact``."""

TABLE["__main__"] = "cli"

EVERYBODY = {"errors", "redact"}

PURE = {
    "errors", "redact", "protocol", "model", "templates", "facts", "journal", "runbook", "domain",
    "actions", "plan", "ports",
}  # fmt: skip
"""They do no I/O and read no clock."""

IMPURE_MODULES = {
    "os",
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
    """Whether the table lets a module of the package ``own`` import from the package ``other``."""
    return own in TABLE and (other in TABLE[own].split() or other in EVERYBODY)


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


def test_imports_are_those_of_the_table() -> None:
    assert not [each for path in modules() for each in wrong_imports(path)]


def test_pure_packages_do_no_io_and_read_no_clock() -> None:
    assert not [each for path in modules() if unit(path) in PURE for each in impurities(path)]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("plan/x.py", "from tastyops.engine import drive"),
        ("plan/x.py", "from ..engine import drive"),
        ("plan/x.py", "def f():\n    import tastyops.records"),
        ("engine/x.py", "from tastyops import transport"),
        ("records/x.py", "from tastyops.runbook import validation"),
        ("actions/x.py", "from tastyops.runbook import validation"),
        ("model/x.py", "from tastyops.templates import rendering"),
        ("practice/x.py", "from tastyops.transport.console import screen"),
        ("lab/x.py", "from tastyops.practice import server"),
        ("transport/x.py", "from tastyops.practice import server"),
        ("transport/x.py", "from tastyops.records import runs"),
        ("app/x.py", "from tastyops.ui import prompts"),
        ("cli/x.py", "from tastyops.engine import drive"),
        ("cli/x.py", "from tastyops.journal import events"),
        ("nowhere/x.py", "from tastyops import plan"),
        ("model/x.py", "from tastyops.nowhere import what"),
        ("__init__.py", "from tastyops import plan"),
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


def test_every_package_is_in_the_table() -> None:
    assert {unit(path) for path in modules()} - {"__init__"} == TABLE.keys()


def test_the_table_has_no_circle() -> None:
    TopologicalSorter({name: row.split() for name, row in TABLE.items()}).prepare()

"""The layer table is law: a module imports only from lower layers, imports in functions counted."""

from __future__ import annotations

import ast
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
    {"engine"},
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


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    own = unit(path)
    if own == "__init__":
        assert not list(project_imports(path))
        return
    assert own in LAYER or own in BESIDE, f"{own} has no place in the layer table"
    for other, line in project_imports(path):
        where = f"{path.relative_to(ROOT)}:{line} imports {other}"
        if own == other:
            continue
        if own in BESIDE:
            assert other in LAYER, where
            assert LAYER[other] < LAYER["engine"], where
        elif other in BESIDE:
            assert own == "cli", where
        elif LAYER[own] == LAYER[other]:
            assert (own, other) in ALLOWED_WITHIN, where
        else:
            assert LAYER[other] < LAYER[own], where


@pytest.mark.parametrize(
    "path", [p for p in modules() if unit(p) in PURE], ids=lambda p: str(p.relative_to(ROOT))
)
def test_layers_0_to_3_do_no_io_and_read_no_clock(path: Path) -> None:
    for name, line in imports(path):
        assert name.split(".")[0] not in IMPURE_MODULES, f"{path}:{line} imports {name}"
    for node in nodes(path):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                assert node.func.id not in IMPURE_CALLS, f"{path}:{node.lineno}: {node.func.id}()"
            if isinstance(node.func, ast.Attribute):
                now = node.func.attr in ("now", "utcnow", "today", "read_text", "read_bytes")
                assert not now, f"{path}:{node.lineno}: .{node.func.attr}()"


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

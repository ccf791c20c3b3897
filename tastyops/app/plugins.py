"""Actions that do not come with tastyops: installed plugins, and Python beside a runbook."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from tastyops.errors import UsageError
from tastyops.local.plain_files import check_plain

PLUGINS = "tastyops.actions"
"""The entry point group of plugins: each names a module that holds actions."""

BESIDE = "actions"
"""The folder beside a runbook whose modules may add actions."""


def modules(runbooks: Path | None) -> Iterator[ModuleType]:
    """The modules of installed plugins, then those beside the runbooks, which are executed once.

    Raises UsageError.
    """
    for plugin in sorted(entry_points(group=PLUGINS), key=lambda entry: entry.name):
        yield _loaded(plugin.value, plugin.load)
    for path in _files(runbooks) if runbooks else []:
        yield _loaded(str(path), partial(_from_file, path))


def declared_beside(runbooks: Path) -> Mapping[str, Path]:
    """The names of the actions beside the runbooks and their files, read without running them."""
    found: dict[str, Path] = {}
    for path in _files(runbooks):
        try:
            tree = ast.parse(path.read_bytes(), str(path))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # whoever loads the file gets the error
        for node in ast.walk(tree):
            name = _declared(node)
            if name:
                found.setdefault(name, path)
    return found


def _files(runbooks: Path) -> list[Path]:
    return sorted((runbooks / BESIDE).glob("*.py"))


def _declared(node: ast.AST) -> str:
    """The name in ``@action("name", …)``."""
    if not isinstance(node, ast.Call) or not node.args:
        return ""
    called = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
    first = node.args[0]
    if called == "action" and isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value
    return ""


def _loaded(where: str, load: Callable[[], object]) -> ModuleType:
    try:
        module = load()
    except Exception as error:
        raise UsageError(
            f"The actions in {where} cannot be loaded: {type(error).__name__}: {error}.",
            still_true="No host was touched.",
        ) from error
    if not isinstance(module, ModuleType):
        raise UsageError(f"{where} is not a module of actions.", still_true="No host was touched.")
    return module


def _from_file(path: Path) -> ModuleType:
    check_plain(path)
    found = path.stat()
    return _executed(path.resolve(), found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=256)
def _executed(path: Path, changed: int, size: int) -> ModuleType:
    """The file's module, executed once until the file changes."""
    name = f"tastyops_actions_beside.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

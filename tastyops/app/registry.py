"""Finds actions: built in, beside the runbooks, and from plugins; hands over a frozen registry."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType

import tastyops.actions
from tastyops.errors import UsageError
from tastyops.local.plain_files import check_plain
from tastyops.model.action import ActionSpec, Registry
from tastyops.model.runbook import Runbook

PLUGINS = "tastyops.actions"
"""The entry point group of plugins: each names a module that holds actions."""

BESIDE = "actions"
"""The folder beside a runbook whose modules may add actions."""


def installed() -> Registry:
    """The actions of tastyops and of installed plugins, without those beside a runbook."""
    return _gathered([*_built_in(), *_added(None)])


def registry_for(runbook: Runbook, folder: Path) -> Registry:
    """The actions that a runbook uses. What it does not use is not loaded, and so not run."""
    wanted = {step.action for step in runbook.every_step()}
    for gather in (built_in, installed):
        found = gather()
        if wanted <= found.keys():
            return found
    return registry(folder)


def declared(runbooks: Path) -> Mapping[str, Path]:
    """The names of the actions beside the runbooks and their files, read without running them."""
    found: dict[str, Path] = {}
    for path in sorted((runbooks / BESIDE).glob("*.py")):
        try:
            tree = ast.parse(path.read_bytes(), str(path))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # whoever loads it is told
        for node in ast.walk(tree):
            name = _declared(node)
            if name:
                found.setdefault(name, path)
    return found


def _declared(node: ast.AST) -> str:
    """The name in ``@action("name", …)``."""
    if not isinstance(node, ast.Call) or not node.args:
        return ""
    called = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
    first = node.args[0]
    if called == "action" and isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value
    return ""


def registry(runbooks: Path | None = None) -> Registry:
    """All actions by name. Raises UsageError where two claim one name or one cannot be loaded."""
    return _gathered([*_built_in(), *_added(runbooks)])


def built_in() -> Registry:
    """The actions that come with tastyops, whatever else is installed."""
    return _gathered(_built_in())


def _gathered(modules: Iterable[ModuleType]) -> Registry:
    found: dict[str, ActionSpec] = {}
    for module in modules:
        for spec in vars(module).values():
            if isinstance(spec, ActionSpec) and found.setdefault(spec.name, spec) is not spec:
                raise UsageError(
                    f"Two actions are called {spec.name}; one is in {module.__name__}.",
                    still_true="No host was touched.",
                    next_step="Rename one of them.",
                )
    return MappingProxyType(found)


def _built_in() -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(tastyops.actions.__path__, "tastyops.actions."):
        yield importlib.import_module(info.name)


def _added(runbooks: Path | None) -> Iterator[ModuleType]:
    for plugin in sorted(entry_points(group=PLUGINS), key=lambda entry: entry.name):
        yield _loaded(plugin.value, plugin.load)
    for path in sorted((runbooks / BESIDE).glob("*.py")) if runbooks else []:
        yield _loaded(str(path), partial(_from_file, path))


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
    """The file's module; it is run once, until the file changes."""
    name = f"tastyops_actions_beside.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

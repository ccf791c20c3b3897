"""Finds actions: built in, beside the runbooks, and from plugins; hands over a frozen registry."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType

import tastyops.actions
from tastyops.errors import UsageError
from tastyops.model.action import ActionSpec, Registry

PLUGINS = "tastyops.actions"
"""The entry point group of plugins: each names a module that holds actions."""

BESIDE = "actions"
"""The folder beside a runbook whose modules may add actions."""


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
    name = f"tastyops_actions_beside.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

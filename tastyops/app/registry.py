"""The actions there are: built in, beside the runbooks, and from plugins.

An action is loaded when a runbook uses it. Python beside the runbooks and plugins are loaded only
where a runbook names an action that is not built in.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType

from tastyops.errors import UsageError
from tastyops.local.plain_files import check_plain
from tastyops.model.action import ActionSpec, Registry
from tastyops.model.on_use import LoadedOnUse
from tastyops.model.runbook import Runbook

PLUGINS = "tastyops.actions"
"""The entry point group of plugins: each names a module that holds actions."""

BESIDE = "actions"
"""The folder beside a runbook whose modules may add actions."""


_NAMES = """
    apt.wait ask boot boot.assemble boot.check bootloader.install confirm console.log_in
    console.log_out console.look console.run disk.detach disk.health disk.identify disk.image
    disk.partition disk.partition_like disk.rescan fs.bind_readonly fs.check fs.grow
    fs.lost_found fs.mount fs.remount fs.repair fs.repair_root fs.unmount fs.zero_log host.state
    join kernel.install kernel.log_scan lvm.extend_group manual power.cycle power.off power.on
    power.policy power.status preflight raid.add raid.create raid.drop raid.record
    raid.resize_members raid.status raid.watch reboot run services.restart services.snapshot
    services.verify shutdown shutdown.cancel wall watch
"""
"""The built-in actions; that of ``raid.drop`` is in the module ``raid_drop``."""

_SHARED = {name: "power" for name in _NAMES.split() if name.startswith("power.")}
"""The modules that hold several actions."""

BUILT_IN: LoadedOnUse[ActionSpec] = LoadedOnUse(
    {
        name: f"tastyops.actions.{_SHARED.get(name, name.replace('.', '_'))}"
        for name in _NAMES.split()
    },
    lambda module, name: _actions_of(module)[name],
)
"""The actions that come with tastyops, whatever else is installed."""


def installed() -> Registry:
    """The actions of tastyops and of installed plugins, without those beside a runbook."""
    return _with(None)


def registry_for(runbook: Runbook, folder: Path) -> Registry:
    """The actions that a runbook uses. What it does not use is not loaded, and so not run."""
    wanted = {step.action for step in runbook.every_step()}
    if wanted <= BUILT_IN.keys():
        return BUILT_IN
    known = installed()
    return known if wanted <= known.keys() else registry(folder)


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
    return _with(runbooks)


def _with(runbooks: Path | None) -> Registry:
    """The built-in actions and those of plugins and of the Python beside the runbooks."""
    added: dict[str, ActionSpec] = {}
    for module in _added(runbooks):
        for name, spec in _actions_of(module).items():
            known = BUILT_IN[name] if name in BUILT_IN else added.setdefault(name, spec)
            if known is not spec:
                raise UsageError(
                    f"Two actions are called {name}; one is in {module.__name__}.",
                    still_true="No host was touched.",
                    next_step="Rename one of them.",
                )
    return BUILT_IN.with_values(added)


def _actions_of(module: ModuleType) -> dict[str, ActionSpec]:
    """The actions that a module defines."""
    return {spec.name: spec for spec in vars(module).values() if isinstance(spec, ActionSpec)}


def _added(runbooks: Path | None) -> Iterator[ModuleType]:
    from importlib.metadata import entry_points  # 28 ms that few runs need

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

"""The registry of actions: built in, from plugins, and beside the runbooks.

An action is loaded when a runbook uses it. Python beside the runbooks and plugins are loaded only
where a runbook names an action that is not built in.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from tastyops.errors import UsageError
from tastyops.model.action import ActionSpec, Registry
from tastyops.model.on_use import LoadedOnUse

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


def registry(runbooks: Path | None = None) -> Registry:
    """All actions by name. Raises UsageError where two claim one name or one cannot be loaded."""
    return _with(runbooks)


def _with(runbooks: Path | None) -> Registry:
    """The built-in actions and those of plugins and of the Python beside the runbooks."""
    added: dict[str, ActionSpec] = {}
    for module in plugins().modules(runbooks):
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


def plugins() -> ModuleType:
    """The finder of plugins and of Python beside a runbook, imported for a runbook that names an
    action that tastyops does not have: ``importlib.metadata`` takes 28 ms to import.
    """
    return importlib.import_module("tastyops.app.plugins")

"""Tables whose values are loaded from their modules when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Generic, TypeVar

V = TypeVar("V")


class LoadedOnUse(Mapping[str, V], Generic[V]):
    """Values by name, where the names are known at once and a value costs an import.

    ``modules`` has the module of each name, and ``take`` finds the value in it. Names can be
    listed, counted and tested for without loading anything. Python's own cache of modules keeps
    what was loaded.
    """

    def __init__(self, modules: Mapping[str, str], take: Callable[[ModuleType, str], V]) -> None:
        self._modules, self._take = modules, take
        self._loaded: dict[str, V] = {}

    def with_values(self, values: Mapping[str, V]) -> LoadedOnUse[V]:
        """This table and further values, which are there already."""
        table = LoadedOnUse({**self._modules, **dict.fromkeys(values, "")}, self._take)
        table._loaded = {**self._loaded, **values}
        return table

    def __getitem__(self, name: str) -> V:
        """The value. Raises KeyError for a name that is not in the table."""
        if name not in self._loaded:
            self._loaded[name] = self._take(import_module(self._modules[name]), name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

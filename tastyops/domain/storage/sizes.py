"""Sizes as a runbook writes them, in the units of LVM: ``500M``, ``2.5G``, ``1T``."""

from __future__ import annotations

import re

from tastyops.errors import Failed

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?) ?([KMGTP])(?:iB|B)?", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Bytes in ``500M`` or ``2.5G``; units are powers of 1024, as lvextend's. Raises Failed."""
    found = _SIZE.fullmatch(text.strip())
    size = round(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size <= 0:
        raise Failed(f"'{text[:40]}' is not a size such as 500M, 2G or 1.5T")
    return size


def format_size(size: int) -> str:
    """Bytes as a log speaks of them: ``700MiB``, ``1.37GiB``."""
    unit = next((name for name in "PTGMK" if size >= _UNITS[name]), "")
    if not unit:
        return f"{size}B"
    return f"{round(size / _UNITS[unit], 2):g}{unit}iB"

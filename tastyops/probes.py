"""Read-only commands and the parsers that turn their output into facts.

A reading is argv plus a parser's name; an action yields ``Probe(*BOOT_ID)``. Parsers are pure:
on resume the journalled output is parsed again. A parser raises ProbeFailed for what it cannot
understand, and never lets a host's text through as something it is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tastyops.errors import ProbeFailed

"""``python -m tastyops``."""

from tastyops.cli.program import console_script

console_script()

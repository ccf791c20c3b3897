"""Read-only commands and the parsers that turn their output into facts.

A reading is argv plus a parser's name; an action yields ``Probe(*BOOT_ID)``. Parsers are pure:
on resume the journalled output is parsed again. A parser raises ProbeFailed for what it cannot
understand, and never lets a host's text through as something it is not. A module for each
subject has its readings, its facts and its ``PARSERS``; ``parsers`` knows all of them.
"""

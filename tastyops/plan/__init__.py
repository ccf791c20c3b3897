"""The pure core: what a run does next, from its plan and its journal. No I/O, no clock."""

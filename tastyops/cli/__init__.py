"""The command line: wiring, the list of verbs, and errors → exit codes."""

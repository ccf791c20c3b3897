"""From a file's bytes to a runbook or an inventory, or to every problem it has."""

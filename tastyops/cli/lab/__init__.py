"""The verbs of the lab, each a module: ``lab.up`` is ``tastyops.cli.lab.up``."""

"""A host's power switch: IPMI 2.0, or commands for any other."""

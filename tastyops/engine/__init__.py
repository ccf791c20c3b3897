"""The driver: performs what the core says, and puts all of it into the journal."""

"""Runbooks over SSH that write the public maintenance log as they go."""

__version__ = "0.1.0"

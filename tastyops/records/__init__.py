"""Runs and logs on disk: one directory a run, one numbered file a log."""

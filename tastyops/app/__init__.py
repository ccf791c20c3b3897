"""Use cases without a terminal: load, run, resume, preview, edit a log."""

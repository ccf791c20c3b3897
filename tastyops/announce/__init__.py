"""Calls the operators when a run waits for one or did not end well."""

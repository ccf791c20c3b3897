"""Templates: values put into a shell command, a log entry, or any other text."""

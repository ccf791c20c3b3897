"""A host's console: attached over a command or a socket, always drained, drawn on a terminal."""

"""The system's own ``ssh`` as the way to a host."""

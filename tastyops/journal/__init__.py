"""What is recorded of a run and of a log: events, their chain, and what they add up to."""

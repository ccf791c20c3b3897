"""The terminal: a live checklist, plain lines or JSON, and the operator's answers."""

"""The nouns: frozen dataclasses every other layer speaks in."""

"""Tables from files: reading, column kinds, encoding."""

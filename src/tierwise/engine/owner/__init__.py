"""The engine's owner: exactly one process at a time opens `engine/`, and does for the others what they ask.

Modules, in reading order:

- `requests`  what is asked and what is told meanwhile
"""

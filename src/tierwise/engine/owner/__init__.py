"""The engine's owner: exactly one process at a time opens `engine/`, and does for the others what they ask.

Modules, in reading order:

- `requests`  what is asked and what is told meanwhile
- `claim`     the locked file that says who owns the engine
- `turns`     writing verbs work one at a time
- `process`   the owner: does verbs, each with a connection of its own, and leaves when it is done
- `wire`      how arguments, answers and errors cross the door
- `serving`   the owner's door: Arrow Flight over a Unix socket
- `calling`   a client of that door
- `door`      where a verb is handed in: to the living owner, or to this process, which becomes it
"""

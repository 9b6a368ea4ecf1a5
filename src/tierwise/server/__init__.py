"""The API: thin routes over the façade, one file per noun; who may do what is said once, in `access`.

Modules, in reading order:

- `problems`   every refusal as `application/problem+json`
- `access`     roles and what they may do; who asks
- `files`      the definition files as the console edits them
- `ingest`     events as they happen, on the disk before they are acknowledged
- `routers`    the routes, one file per noun
- `app`        the application
- `serving`    `tierwise serve`: the API with the engine's process and a worker beside it
"""

from tierwise.server.app import create_app

__all__ = ["create_app"]

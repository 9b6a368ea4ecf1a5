"""Where a command begins and ends: global options, the commands, errors as words and exit codes."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import typer

from tierwise.cli import (
    asking,
    consent,
    deciding,
    experimenting,
    identity,
    jobs,
    judging,
    making,
    owning,
    past,
    people,
    planning,
    points,
    reaching,
    running,
    serving,
    storing,
    valuing,
)
from tierwise.cli.context import CONTEXT, Context
from tierwise.errors import TierwiseError

__all__ = ["app", "main"]

_INTERRUPTED: Final = 130

app = typer.Typer(
    name="tierwise",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Customer tiers from your files: import, compute, explain. 客户分层与会员运营。",
    epilog="Everywhere: --project DIR, --json, --lang zh|en.",
)
making.register(app)
planning.register(app)
running.register(app)
asking.register(app)
jobs.register(app)
storing.register(app)
people.register(app)
points.register(app)
consent.register(app)
owning.register(app)
past.register(app)
deciding.register(app)
serving.register(app)
identity.register(app)
valuing.register(app)
experimenting.register(app)
judging.register(app)
reaching.register(app)


@app.callback()
def _options(
    invoked: typer.Context,
    project: str = typer.Option(".", help="The project's folder."),
    json: bool = typer.Option(False, help="Print one JSON document instead of tables."),
    lang: str = typer.Option("", help="zh or en; by default what LANG says."),
) -> None:
    language = lang or ("zh" if os.environ.get("LC_ALL", os.environ.get("LANG", "")).startswith("zh") else "en")
    command = invoked.invoked_subcommand or ""
    CONTEXT.set(Context(project, json, "zh" if language.startswith("zh") else "en", command))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 refused, 2 wrong usage, 3 the engine failed, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    if words == ["--version"]:
        from tierwise import __version__

        typer.echo(f"tierwise {__version__}")
        raise SystemExit(0)
    CONTEXT.set(Context(".", "--json" in words, "en"))
    raise SystemExit(_run(_options_first(words)))


def _run(words: list[str]) -> int:
    context = CONTEXT.get()
    try:
        try:
            found = app(words, standalone_mode=False)
            sys.stdout.flush()
        finally:
            CONTEXT.get().close()
        if found == _INTERRUPTED:  # Typer turns Ctrl-C into its number
            raise KeyboardInterrupt
        return found if isinstance(found, int) else 0
    except TierwiseError as error:
        CONTEXT.get().fail(error)
        return 1 if error.status < 500 else 3
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted; the last good state is untouched\n")
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        usage = getattr(error, "format_message", None)  # Typer brings its own copy of click's exceptions
        if usage is not None:
            return _wrong_usage(context, usage())
        if os.environ.get("TIERWISE_DEBUG"):
            traceback.print_exc()
        message = f"this is a bug in Tierwise: {type(error).__name__}: {error}"
        hint = "please report it with the command you gave; TIERWISE_DEBUG=1 shows where it happened"
        CONTEXT.get().fail_unexpected(message, hint)
        return 3


def _wrong_usage(context: Context, message: str) -> int:
    if context.json:
        context.print_json(
            {"error": {"code": "usage", "message": message, "hint": "tierwise --help lists the commands"}}
        )
    else:
        sys.stderr.write(f"{message}\n  tierwise --help lists the commands\n")
    return 2


def _options_first(words: Sequence[str]) -> list[str]:
    """Let the global options stand anywhere: before the command or after it."""
    front: list[str] = []
    rest: list[str] = []
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            rest += words[index:]
            break
        if word == "--json" or word.startswith(("--project=", "--lang=")):
            front.append(word)
        elif word in ("--project", "--lang") and index + 1 < len(words):
            front += words[index : index + 2]
            index += 1
        else:
            rest.append(word)
        index += 1
    return front + rest

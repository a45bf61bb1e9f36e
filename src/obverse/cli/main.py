"""The command `obverse`: verbs, help and exit codes. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from obverse.errors import DiskError, Interrupted, ObverseError, RecipeError, printable
from obverse.interrupts import Terminated, listening
from obverse.launch import launched
from obverse.terminal import painted

from .data import check, prepare, sample, suspects
from .machine import doctor, recipes
from .models import bench, ensemble, evaluate, explain, export, predict, publish, search, serve, train
from .studies import compare, folds, plan, probe, runs, sweep


class _Group(TyperGroup):
    """Command group that handles what typer would end with exit code 1, which is reserved for bugs."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Here the help is printed that is not a verb's."""
        with _quiet_pipe(), _quiet_interrupt():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Carry out the verb."""
        with _quiet_pipe(), _quiet_interrupt():
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


@contextmanager
def _quiet_interrupt() -> Iterator[None]:
    """Turn Ctrl-C into Interrupted, which prints one sentence."""
    try:
        yield
    except KeyboardInterrupt as stop:
        number = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
        raise Interrupted(str(stop) or "interrupted", number) from None


@contextmanager
def _quiet_pipe() -> Iterator[None]:
    """Turn a closed pipe (`obverse ... | head`) into a silent Interrupted, because it is no error."""
    try:
        yield
    except BrokenPipeError:
        _drop_output()
        closed = Interrupted("nobody reads the output any more", signal.SIGPIPE)
        closed.is_reported = True
        raise closed from None


PATHS = ("--out", "--run", "--data", "--among", "--criteria", "--image-root", "--html", "--save-images")


class _Verb(TyperCommand):
    """Refuses an empty argument, which as a path would be the current folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parsed arguments, as typer has them."""
        for before, argument in zip(["", *args], args, strict=False):
            option = argument.removesuffix("=") if argument.endswith("=") else before
            if (not argument or option != before) and option in PATHS:
                raise RecipeError(f"{option}: the path is empty")
            if not argument and not before.startswith("-"):
                raise RecipeError("the path is empty")
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="obverse",
    cls=_Group,
    help="From a folder of pictures to an image classifier that people can trust and ship.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    check,
    prepare,
    suspects,
    train,
    sweep,
    folds,
    plan,
    probe,
    evaluate,
    compare,
    runs,
    ensemble,
    predict,
    explain,
    search,
    export,
    publish,
    serve,
    bench,
    sample,
    recipes,
    doctor,
):
    app.command(name=verb.__name__.rpartition(".")[2], cls=_Verb)(verb.command)

BUG = 1
# How Python decodes file names.
NAMES = "surrogateescape"
ON_EVERY_RANK = ("train",)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"obverse {version('obverse')}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Verbs are listed below; `obverse VERB --help` tells more."""
    launch = launched()
    if launch.world_size > 1 and context.invoked_subcommand not in ON_EVERY_RANK:
        error = RecipeError(f"obverse {context.invoked_subcommand} is the work of one process, and {launch.world_size} "
                            "were started; start it without torchrun")  # fmt: skip
        error.is_reported = not launch.is_main
        raise error


def main() -> None:
    """Run the command; an error that the user can mend is one sentence and an exit code."""
    _show_any_name()
    try:
        with _quiet_interrupt(), listening():
            app(prog_name="obverse")
    except ObverseError as error:
        _end(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _drop_output()
            _end(DiskError(f"writing {error.filename or 'the output'} failed: {error.strerror}; free space"))
        import traceback

        traceback.print_exc()
        sys.stderr.write("This is a bug in Obverse; please report it with the lines above.\n")
        sys.exit(BUG)


def _end(error: ObverseError) -> NoReturn:
    if not error.is_reported:
        message = painted("Error: ", "red", sys.stderr) + printable(" ".join(str(error).split())) + "\n"
        with suppress(BrokenPipeError):  # `2>&1 | head`
            sys.stderr.write("".join(f"{printable(line)}\n" for line in error.details) + message)
            sys.stderr.flush()
    sys.exit(error.exit_code)


def _show_any_name() -> None:
    """A name that the terminal's encoding lacks is shown escaped, and read as the system has it."""
    for stream, errors in ((sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace"), (sys.stdin, NAMES)):
        with suppress(AttributeError):  # a caller's own stream
            stream.reconfigure(errors=errors)  # type: ignore[union-attr]


def _drop_output() -> None:
    """What is still buffered cannot be written: without this Python complains again at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()

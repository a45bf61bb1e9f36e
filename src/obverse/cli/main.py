"""The command `obverse`: verbs, help and exit codes. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

import sys

import typer

from obverse.errors import ObverseError

from . import doctor, evaluate, predict, recipes, sample, train

app = typer.Typer(
    name="obverse",
    help="From a folder of pictures to an image classifier that people can trust and ship.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (train, evaluate, predict, sample, recipes, doctor):
    app.command(name=verb.__name__.rpartition(".")[2])(verb.command)

BUG = 1
INTERRUPTED = 130


@app.callback()
def _root() -> None:
    """Verbs are listed below; `obverse VERB --help` tells more."""


def main() -> None:
    """Run the command; an error that the user can mend is one sentence and an exit code."""
    try:
        app()
    except ObverseError as error:
        sys.stderr.write(f"Error: {_one_line(str(error))}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(BUG)
    except Exception:
        import traceback

        traceback.print_exc()
        sys.stderr.write("This is a bug in Obverse; please report it with the lines above.\n")
        sys.exit(BUG)


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    main()

"""The command, as `obverse` or as `python -m obverse`: signals first, because loading the rest takes a moment."""

import atexit

from .interrupts import ignore, listen


def main() -> None:
    """Run the command."""
    listen()
    atexit.register(ignore)
    from obverse.cli.main import main as run

    run()


if __name__ == "__main__":
    main()

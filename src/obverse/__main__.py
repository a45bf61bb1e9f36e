"""The command, as `obverse` or as `python -m obverse`: signals first, because loading the rest takes a moment."""

from .interrupts import listen


def main() -> None:
    """Run the command."""
    listen()
    from obverse.cli.main import main as run

    run()


if __name__ == "__main__":
    main()

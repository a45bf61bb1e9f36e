"""`python -m obverse`: the command, where the script `obverse` is not on the path."""

from obverse.cli.main import main

if __name__ == "__main__":
    main()

"""The console on which tables are printed: rich's, with colours as the terminal and NO_COLOR say."""

from __future__ import annotations

from rich.console import Console as RichConsole


class Console(RichConsole):
    """rich would end with exit code 1, which is kept for bugs, when the reader goes away."""

    def on_broken_pipe(self) -> None:
        """Leave it to the command (`main`), as for everything else that is printed."""
        raise BrokenPipeError

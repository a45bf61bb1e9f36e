"""A verb that several processes of a launcher carry out together: one leads, and the others do as it does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from obverse.launch import launched

Arguments = ParamSpec("Arguments")


def on_every_rank(lead: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """The main process alone reads the arguments, and says what is wrong with them."""

    @functools.wraps(lead)
    def command(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        launch = launched()
        if launch.world_size == 1:
            return lead(*args, **kwargs)
        from obverse.experiment import follow_run
        from obverse.runtime import joined

        with joined(launch):
            return lead(*args, **kwargs) if launch.is_main else follow_run()

    return command

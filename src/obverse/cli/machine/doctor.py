"""`obverse doctor`."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    forget: Annotated[
        bool, typer.Option("--forget", help="Clear the choices by measurement that are remembered on this machine.")
    ] = False,
) -> None:
    """Say what is wrong with this installation and how to mend it, and what was chosen by measurement on this machine;
    exit 69 when something is wrong.
    """
    from .doctor_checks import diagnose

    findings = diagnose(forget=forget)
    for finding in findings:
        typer.echo(f"{finding.mark:7} {finding.what}" + (f"\n        mend: {finding.mend}" if finding.mend else ""))
    if any(finding.mark == "error" for finding in findings):
        raise typer.Exit(69)

"""`obverse doctor`."""

from __future__ import annotations

import typer


def command() -> None:
    """Say what is wrong with this installation and how to mend it; exit 69 when something is."""
    from obverse.experiment.doctor import diagnose

    findings = diagnose()
    for finding in findings:
        typer.echo(f"{finding.mark:7} {finding.what}" + (f"\n        mend: {finding.mend}" if finding.mend else ""))
    if any(finding.mark == "error" for finding in findings):
        raise typer.Exit(69)

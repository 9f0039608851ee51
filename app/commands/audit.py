"""`flask --app entry audit …`: the audit log."""

from pathlib import Path

import click
from flask.cli import AppGroup

from app.audit.chain import verify

audit = AppGroup("audit", help="The audit log.")


@audit.command("verify", with_appcontext=False)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--kept", help="The hash of a line, kept elsewhere, that must still be there.")
def audit_verify(files: tuple[Path, ...], kept: str | None) -> None:
    """Check the audit log in FILES, the oldest first: has it been tampered with?"""
    try:
        verdict = verify(files, kept)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    for finding in verdict.findings:
        click.echo(finding, err=True)
    click.echo(f"{verdict.lines} lines, the last one has the hash {verdict.last}")
    if verdict.findings:
        raise click.ClickException(f"{len(verdict.findings)} places are not as they were written")
    if kept is None:
        click.echo("Keep that hash elsewhere: --kept then finds out if the end is cut off.")

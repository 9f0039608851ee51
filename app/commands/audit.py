"""`flask --app entry audit …`: the audit log."""

from pathlib import Path

import click
from flask.cli import AppGroup

from app.audit.chain import verify

audit = AppGroup("audit", help="The audit log.")


@audit.command("verify", with_appcontext=False)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--kept",
    multiple=True,
    help="The hash of a line, kept elsewhere, that must be there or just before FILES; repeatable.",
)
def audit_verify(files: tuple[Path, ...], kept: tuple[str, ...]) -> None:
    """Check the audit log in FILES, the oldest first: has it been tampered with?

    Files that have expired may be missing at the beginning. Files in .gz are unpacked.
    """
    try:
        verdict = verify(files, kept)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror or error}") from None
    for finding in verdict.findings:
        click.echo(finding, err=True)
    for sentence in verdict.begins:
        click.echo(sentence)
    click.echo(f"{verdict.lines} lines, the last one has the hash {verdict.last}")
    if verdict.findings:
        raise click.ClickException(
            f"places where the log is not as it was written: {len(verdict.findings)}"
        )
    if not kept:
        click.echo("Keep that hash elsewhere: --kept then finds out if the end is cut off.")

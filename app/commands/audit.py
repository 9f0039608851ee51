"""`flask --app entry audit …`: check the audit log."""

from pathlib import Path

import click
from flask.cli import AppGroup

from app.audit.chain import verify
from app.commands.common import file_error

audit = AppGroup("audit", help="The audit log.")


@audit.command("verify", with_appcontext=False)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--kept",
    multiple=True,
    help="Hash, kept elsewhere, of a line that must be in FILES or just before them. Repeatable.",
)
def audit_verify(files: tuple[Path, ...], kept: tuple[str, ...]) -> None:
    """Check whether the audit log in FILES, the oldest first, was tampered with.

    The oldest files may have expired. Files that end in .gz are unpacked.
    """
    try:
        report = verify(files, kept)
    except OSError as error:
        raise file_error(error) from None
    for finding in report.findings:
        click.echo(finding, err=True)
    for sentence in report.begins:
        click.echo(sentence)
    click.echo(f"{report.lines} lines, the last one has the hash {report.last}")
    if report.findings:
        raise click.ClickException(
            f"places where the log was altered or damaged: {len(report.findings)}"
        )
    if not kept:
        click.echo("Keep that hash elsewhere: with --kept, it shows whether lines were cut off.")

"""`flask --app entry evaluate FILE` and `calibrate DIR`: measure recognition on known photos."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import cv2

from app.bootstrap import CANNOT_START, make_catalogue, make_recogniser, policy
from app.commands.common import command_settings, file_error
from app.evaluation import report
from app.evaluation.figures import Goal
from app.evaluation.lists import ListError, Manifest, Pairs, read_folders, read_list
from app.evaluation.measure import Measured, measure_manifest, measure_pairs
from app.settings import Settings
from models.choice import choose_model

_OPTIONS = (
    click.option(
        "--people",
        type=click.IntRange(min=1),
        help="How many people will be enrolled; by default as many as are here.",
    ),
    click.option(
        "--report",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("evaluation.html"),
        show_default=True,
        help="Where to write the report; its figures go beside it, as .json.",
    ),
    click.option(
        "--contact-sheet/--no-contact-sheet",
        default=True,
        help="Whether to show the hardest photos and name their files.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the figures, and write no file."),
)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("evaluate")
@click.argument("file_of_photos", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="The folder that the paths in FILE begin at; by default FILE's own.",
)
@_options
def evaluate(file_of_photos: Path, photos: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Measure recognition on the photos of FILE, and write a report.

    FILE is a CSV file of pairs (img1,img2,same) or a manifest (role,person,img; role is enrol or
    probe). The photos go through the service's own recognition with its settings. No employees are
    read or stored.
    """
    _run(lambda: read_list(file_of_photos, photos), file_of_photos, **options)


@click.command("calibrate")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_options
def calibrate(folder: Path, **options: Any) -> None:  # noqa: ANN401
    """Recommend α from the photos in DIR, which holds a folder for each person.

    The first photo of each person is enrolled, the others are searched for. The photos go through
    the service's own recognition with its settings. No employees are read or stored.
    """
    _run(lambda: read_folders(folder), folder, **options)


def _run(
    read: Callable[[], Pairs | Manifest],
    source: Path,
    *,
    people: int | None,
    file: Path,
    contact_sheet: bool,
    as_json: bool,
) -> None:
    if not as_json and file.suffix != ".html":
        raise click.BadParameter("must end in .html", param_hint="--report")
    if not as_json and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}", param_hint="--report")
    try:
        settings = command_settings()
        wanted = read()
        measured = _measure(settings, wanted, people)
        measured.figures.update(source=source.name)
        if as_json:
            click.echo(report.as_json(measured, contact_sheet), nl=False)
            return
        beside = report.write(measured, file, contact_sheet)
    except (ListError, *CANNOT_START) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise file_error(error) from None
    for line in report.summary(measured.figures):
        click.echo(line)
    click.echo(f"The report is {file}, its figures are in {beside}.")


def _measure(settings: Settings, wanted: Pairs | Manifest, people: int | None) -> Measured:
    cv2.setNumThreads(1)  # photos are processed side by side
    model = choose_model(settings.face_model, {}, make_catalogue(settings))
    recogniser = make_recogniser(settings, model)
    rule = policy(settings)
    alpha = rule.highest
    chosen = "FACE_MODEL=auto chooses it without looking at a store"
    why = f" ({chosen})" if settings.face_model == "auto" else ""
    click.echo(f"model {model.name}{why}, α {alpha:g}", err=True)
    if isinstance(wanted, Pairs):
        goal = Goal(people, rule.max_fpir) if people else None
        measured = measure_pairs(wanted, recogniser, alpha, goal)
    else:
        for note in wanted.notes:
            click.echo(note, err=True)
        measured = measure_manifest(wanted, recogniser, alpha, people, rule.max_fpir)
    about = {
        "model": model.name,
        "distance_scale": model.distance_scale,
        "alpha": alpha,
        "device": recogniser.device,
        "made": datetime.now(UTC).isoformat(timespec="minutes"),
    }
    measured.figures.update(about)
    return measured

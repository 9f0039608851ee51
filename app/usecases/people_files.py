"""Who is to be enrolled, as a folder or a CSV file says."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.people_fields import MAX_ID, Groups, MaybeName, Name
from app.sentences import what_is_wrong

COLUMNS = ("id", "name", "surname", "photo", "group")
_NEEDED = {"id", "name", "photo"}
_LABEL = re.compile(r"(0|[1-9][0-9]*)[ _-]+(.+)")
_SEPARATORS = re.compile(r"[ _]+")


class ListRefused(Exception):
    """The folder or file does not say whom to enrol. The message says why."""


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True)

    id: int = Field(ge=0, le=MAX_ID)
    name: Name
    surname: MaybeName
    group: Groups


@dataclass(frozen=True, slots=True)
class Person:
    """Whom to enrol. photos: the files of their photos."""

    employee_id: int
    name: str
    surname: str
    groups: tuple[str, ...]
    photos: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Unclear:
    """An entry that cannot be enrolled. entry: the folder's name, or the id. reason: why."""

    entry: str
    reason: str


def people_of(path: Path) -> Iterator[Person | Unclear]:
    """Yield the people of a folder or a CSV file. Raises ListRefused."""
    try:
        yield from _of_folder(path) if path.is_dir() else _of_csv(path)
    except OSError as error:
        raise ListRefused(f"{error.filename}: {error.strerror or error}") from None


def _of_folder(folder: Path) -> Iterator[Person | Unclear]:
    """Yield a person for each folder in it, named `<id> <name> <surname>`."""
    entries: dict[str, list[Path]] = {}
    for person in shown(folder):
        if not person.is_dir():
            continue
        number, _, _ = read_label(person.name)
        if not number:
            yield Unclear(
                person.name, "name the folder with an id and a name, like 17_Grace_Hopper"
            )
            continue
        entries.setdefault(number, []).append(person)
    for number, folders in entries.items():
        if len(folders) > 1:
            names = ", ".join(each.name for each in folders)
            yield Unclear(number, f"several folders have this id: {names}")
            continue
        _, name, surname = read_label(folders[0].name)
        photos = [file for file in shown(folders[0]) if file.is_file()]
        yield person_of(number, name, surname, (), photos)


def _of_csv(path: Path) -> Iterator[Person | Unclear]:
    """Yield a person for each id in it."""
    entries: dict[str, list[dict[str, str]]] = {}
    for row in rows_of(path):
        entries.setdefault(row["id"], []).append(row)
    for number, rows in entries.items():
        names = {(row["name"], row.get("surname", "")) for row in rows}
        if len(names) > 1:
            yield Unclear(number, "the rows of this id have several names")
            continue
        name, surname = names.pop()
        groups = {group for row in rows if (group := row.get("group"))}
        photos = [path.parent / row["photo"] for row in rows]
        yield person_of(number, name, surname, groups, photos)


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file. A row is a photo; its path begins at the file's folder.

    Raises ListRefused, OSError.
    """
    rows = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            reader = csv.DictReader(file, skipinitialspace=True, restval="")
            columns = {column.strip() for column in reader.fieldnames or ()}
            if not columns >= _NEEDED or not columns <= {*COLUMNS}:
                raise ListRefused(
                    f"{path}: the first line must be {','.join(COLUMNS)}; surname and group may be "
                    "left out"
                )
            reader.fieldnames = [column.strip() for column in reader.fieldnames or ()]
            for row in reader:
                if None in row:
                    raise ListRefused(
                        f"{path}, line {reader.line_num}: there are more values than columns"
                    )
                rows.append({name: value.strip() for name, value in row.items()})
        except (UnicodeDecodeError, csv.Error):
            raise ListRefused(f"{path} is not a CSV file in UTF-8") from None
    return rows


def read_label(label: str) -> tuple[str, str, str]:
    """Return the id, the name and the surname that a label like `17_Grace_Hopper` holds.

    The id is in digits, or empty if the label does not begin with one. Blanks, `_` or, after the
    id, `-` separate the words.
    """
    found = _LABEL.fullmatch(label)
    number, words = found.groups() if found else ("", label)
    name, _, surname = _SEPARATORS.sub(" ", words).strip().partition(" ")
    return number, name, surname


def person_of(
    number: str, name: str, surname: str, groups: Iterable[str], photos: Iterable[Path]
) -> Person | Unclear:
    """Return the person, or why nobody can be enrolled like this. number: the id, in digits."""
    whole = number.isascii() and number.isdigit() and len(number) < 20
    try:
        fields = _Fields(
            id=int(number) if whole else -1, name=name, surname=surname, group=sorted(groups)
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        what = f"must be a whole number from 0 to {MAX_ID}"
        if first["loc"][0] != "id":
            what = what_is_wrong(first)
        return Unclear(number, f"{first['loc'][0]}: {what}")
    files = tuple(dict.fromkeys(photos))
    if not files:
        return Unclear(number, "there is no photo")
    return Person(fields.id, fields.name, fields.surname, tuple(fields.group), files)


def shown(folder: Path) -> list[Path]:
    """Return what is in the folder, except for names that begin with a dot. Raises OSError."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))

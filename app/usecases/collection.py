"""List the people of another face service, with ids, in a CSV file that enrols them."""

import csv
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from io import StringIO
from itertools import count
from pathlib import Path

from app import private_files
from app.usecases.people_files import (
    COLUMNS,
    ListRefused,
    Unclear,
    person_of,
    read_label,
    rows_of,
    shown,
)

Row = dict[str, str]
_NUMBER = re.compile("0|[1-9][0-9]*")
_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet takes for the beginning of one


def listed(
    subjects: Mapping[str, Collection[str]], file: Path, first_id: int
) -> tuple[list[Row], list[Unclear]]:
    """Return the rows of the CSV file, one for each photo, and what is left out of it.

    Rows that are in the file already stay as they are, if the other service still has their
    photos, and a person keeps the id. subjects: the photos of each person, as paths from the file's
    folder, by the label that the other service has for the person. first_id: the lowest id for
    people whose label has none. Raises ListRefused if two people would have one id, and OSError.
    """
    earlier: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows_of(file) if file.exists() else ():
        earlier[row["photo"]].append(row)
    taken = {row["id"] for rows in earlier.values() for row in rows}
    people: dict[str, list[Row]] = {}
    left_out: list[Unclear] = []
    for label, photos in sorted(subjects.items()):
        known = [row for photo in photos for row in earlier.pop(photo, ())]
        person = known[0] | {"group": ""} if known else _read(label, photos)
        if isinstance(person, Unclear):
            left_out.append(person)
            continue
        new = sorted(set(photos) - {row["photo"] for row in known})
        people[label] = known + [person | {"photo": photo} for photo in new]
    for photo, rows in earlier.items():
        left_out.append(Unclear(f"{rows[0]['id']} {photo}", "it is gone, so its row was removed"))
    taken |= _ids(people, file)
    free = (str(number) for number in count(first_id) if str(number) not in taken)
    for rows in people.values():
        number = rows[0]["id"] or next(free)
        rows[:] = [row | {"id": row["id"] or number} for row in rows]
    return [row for rows in people.values() for row in rows], left_out


def _ids(people: Mapping[str, Iterable[Row]], file: Path) -> set[str]:
    """Return the ids that people have. Raises ListRefused if two people have the same."""
    owners: dict[str, str] = {}
    for label, rows in people.items():
        for number in sorted({row["id"] for row in rows} - {""}):
            if (other := owners.setdefault(number, label)) != label:
                raise ListRefused(
                    f"{other!r} and {label!r} would both have the id {number}: rename one of them, "
                    f"or change its id in {file}"
                )
    return set(owners)


def write(rows: Iterable[Row], file: Path) -> None:
    """Write the CSV file, which only its owner can read. Raises OSError."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    private_files.write(file, text.getvalue().encode())


def known_people(folder: Path, file: Path) -> tuple[dict[str, list[str]], list[Unclear]]:
    """Return the photos of each person in a folder of face_recognition, and who cannot be listed.

    A person is a photo with that name, or a folder of photos. Paths begin at the folder of `file`,
    which may lie in `folder`. Raises OSError.
    """
    subjects: defaultdict[str, list[str]] = defaultdict(list)
    left_out = []
    for path in shown(folder.resolve()):
        if path == file.resolve():
            continue
        inside = path.is_dir()
        names = subjects[path.name if inside else path.stem]
        for photo in [each for each in shown(path) if each.is_file()] if inside else [path]:
            name = os.path.relpath(photo, file.parent.resolve())
            if name.encode(errors="replace").decode() == name.strip():
                names.append(name)
            else:
                left_out.append(Unclear(name, "rename it: a CSV file cannot hold this path"))
    return subjects, left_out


def _read(label: str, photos: Collection[str]) -> Row | Unclear:
    """Return who is meant. The id is empty if the label does not begin with one."""
    number, name, surname = read_label(label)
    if not (number or surname) and _NUMBER.fullmatch(name):
        number = name
    person = person_of(number or "0", name, surname, (), map(Path, photos))
    if isinstance(person, Unclear):
        return Unclear(label, person.reason)
    if person.name.startswith(_FORMULA) or person.surname.startswith(_FORMULA):
        return Unclear(label, "a spreadsheet would take the name for a formula")
    return {"id": number, "name": person.name, "surname": person.surname}

"""Who is enrolled in bulk and who only probes, and whether each photo became what it should."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.storage import EmployeeStore

# The recogniser's vector of a photo, or the code of its refusal.
Recognised = NDArray[np.float32] | str

_TOLERANCE = 1e-4  # of a number of a vector, which has the length 1


@dataclass(frozen=True, slots=True)
class Drawn:
    """people: the photos to enrol, by id. probes: photos of others, and of them (their id)."""

    people: dict[int, list[Path]]
    probes: list[tuple[Path, int | None]]

    @property
    def photos(self) -> list[Path]:
        return [photo for photos in self.people.values() for photo in photos]


def drawn(folder: Path, most: int, probes: int) -> Drawn:
    """Keep probes back, half of them of people with further photos, and enrol the rest.

    folder: a folder for each person. most: photos to enrol, at most.
    """
    everybody = [sorted(person.glob("*.jpg")) for person in sorted(folder.iterdir())]
    everybody = [photos for photos in everybody if photos]
    np.random.default_rng(0).shuffle(everybody)  # type: ignore[arg-type]
    strangers = [photos[0] for photos in everybody if len(photos) == 1][: probes // 2]
    found = Drawn({}, [(photo, None) for photo in sorted(strangers)])
    count = 0
    for number, photos in enumerate(everybody, start=1):
        is_kept_back = len(photos) > 1 and len(found.probes) < probes
        enrolled = [] if photos[0] in strangers else photos[:-1] if is_kept_back else photos
        if not enrolled or count + len(enrolled) > most:
            continue
        if is_kept_back:
            found.probes.append((photos[-1], number))
        count += len(enrolled)
        found.people[number] = enrolled
    return found


def write_list(people: Mapping[int, list[Path]], file: Path) -> None:
    """Write the CSV file that `enrol` reads."""
    with file.open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["id", "name", "surname", "photo"])
        for number, photos in people.items():
            name, _, surname = photos[0].parent.name.replace("_", " ").partition(" ")
            rows.writerows([number, name, surname, photo] for photo in photos)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of all photos. faults: sentences about what is not as it should be.

    stored, refused: photos. with_person: refused photos of people who were refused as a whole.
    codes: how often each reason was given.
    """

    stored: int
    refused: int
    with_person: int
    codes: Counter[str]
    faults: list[str]


def account(
    people: Mapping[int, list[Path]],
    report: Path,
    store: EmployeeStore,
    recognised: Mapping[Path, Recognised],
) -> Account:
    """Compare the store and the report with the photos.

    Each photo must be stored once, under its person, in order, with the vector that the
    recogniser alone gives it; or else be refused once, alone or with its person.
    """
    with report.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by_id: dict[int, list[str]] = {}
    for row in rows:
        by_id.setdefault(int(row["id"]), []).append(row["photo"])
    faults = list(_misjudged(rows, recognised))
    stored = {employee.employee_id: employee.vectors for employee in store.read_all()}
    faults += [f"{number}: stored, but not listed" for number in stored.keys() - people.keys()]
    count = alone = with_person = 0
    for number, photos in people.items():
        named = Counter(by_id.get(number, ()))
        faults += [f"{name}: refused {times} times" for name, times in named.items() if times > 1]
        if "" in named:
            left: list[Path] = []
            with_person += len(photos)
        else:
            left = [photo for photo in photos if str(photo) not in named]
            alone += len(photos) - len(left)
        found = stored.get(number, ())
        count += len(found)
        if len(found) != len(left):
            faults.append(f"{number}: {len(left)} photos to store, {len(found)} stored")
            continue
        for photo, vector in zip(left, found, strict=True):
            expected = recognised[photo]
            if isinstance(expected, str) or np.abs(expected - vector).max() > _TOLERANCE:
                faults.append(f"{photo.name}: stored with another vector")
    codes = Counter(row["code"] for row in rows)
    return Account(count, alone + with_person, with_person, codes, faults)


def _misjudged(rows: list[dict[str, str]], recognised: Mapping[Path, Recognised]) -> Iterator[str]:
    """Yield a sentence for each photo that was refused for another reason than the recogniser's."""
    for row in rows:
        if row["photo"]:
            said = recognised.get(Path(row["photo"]))
            if not isinstance(said, str) or said != row["code"]:
                yield f"{row['photo']}: refused as {row['code']}"

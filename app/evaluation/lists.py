"""Read which photos to compare: a list of pairs, a manifest, or a folder for each person."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PAIRS = ("img1", "img2", "same")
_MANIFEST = ("role", "person", "img")
_SAME = {"1": True, "true": True, "0": False, "false": False}
_ENDINGS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif"} | {
    *(".gif", ".tif", ".tiff", ".bmp")
}
_REST = "\n"  # names the values beyond the last column; no column has this name
_EXAMPLES = 3  # mistakes that a message names


class ListError(Exception):
    """The photos cannot be compared; the message says why, and where."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Photos to compare two by two (1:1). Each entry of `same` belongs to a pair."""

    folder: Path
    first: list[str]
    second: list[str]
    same: list[bool]


@dataclass(frozen=True, slots=True)
class Manifest:
    """People to enrol, and probes to search for among them (1:N).

    enrol: person → photos. probes: (person, photo). Paths are relative to `folder`.
    strangers: whether only people who are not in `enrol` count as non-mated; otherwise each probe
    does, with the person it shows left out of the gallery.
    """

    folder: Path
    enrol: dict[str, list[str]]
    probes: list[tuple[str, str]]
    strangers: bool
    notes: list[str] = field(default_factory=list)


def read_list(path: Path, folder: Path | None) -> Pairs | Manifest:
    """Read a CSV file. folder: that of the photos; by default that of the file. Raises ListError.

    Its columns are img1, img2, same (pairs), or role, person, img (a manifest).
    """
    folder = folder or path.parent
    if not folder.is_dir():
        raise ListError(f"there is no folder {folder}")
    rows = list[tuple[int, dict[str, str]]]()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, restkey=_REST)
            columns = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            for row in reader:
                if _REST in row:
                    raise ListError(
                        f"{path}, line {reader.line_num}: there are more values than columns"
                    )
                rows.append((reader.line_num, {k: (v or "").strip() for k, v in row.items()}))
    except OSError as error:
        raise ListError(f"{path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error):
        raise ListError(f"{path} is not a CSV file in UTF-8") from None
    if set(columns) >= set(_PAIRS):
        return _pairs(path, folder, rows)
    if set(columns) >= set(_MANIFEST):
        return _manifest(path, folder, rows)
    found = ",".join(columns)[:80] or "empty"
    raise ListError(
        f"{path}: the first line must be {','.join(_PAIRS)} (pairs) or {','.join(_MANIFEST)} "
        f"(a manifest), with commas; it is {found}"
    )


def read_folders(folder: Path) -> Manifest:
    """Read a folder that holds a folder of photos for each person. Raises ListError.

    The first photo by name is enrolled, the others are probes. Of people with one photo that is a
    probe, and they are not enrolled.
    """
    enrol, probes, single, ignored = {}, list[tuple[str, str]](), 0, 0
    try:
        people = sorted(path for path in folder.iterdir() if path.is_dir() and _shown(path))
        for person in people:
            files = sorted(path for path in person.iterdir() if path.is_file() and _shown(path))
            photos = [file for file in files if file.suffix.lower() in _ENDINGS]
            ignored += len(files) - len(photos)
            names = [photo.relative_to(folder).as_posix() for photo in photos]
            if len(names) > 1:
                enrol[person.name] = names[:1]
                names = names[1:]
            else:
                single += len(names)
            probes += [(person.name, name) for name in names]
    except OSError as error:
        raise ListError(f"{error.filename}: {error.strerror or error}") from None
    if not probes:
        raise ListError(
            f"{folder} holds no photos: it must hold a folder of photos for each person"
        )
    notes = []
    if single:
        notes.append(f"People with only one photo are strangers and not enrolled: {single:,}.")
    if ignored:
        notes.append(f"Files whose names are not those of pictures were left out: {ignored:,}.")
    return _checked(Manifest(folder, enrol, probes, strangers=False, notes=notes), str(folder))


def _pairs(path: Path, folder: Path, rows: Sequence[tuple[int, dict[str, str]]]) -> Pairs:
    pairs, wrong = Pairs(folder, [], [], []), list[str]()
    for line, row in rows:
        same = _SAME.get(row["same"].lower())
        if same is None:
            wrong.append(f"line {line}: same must be 1 or 0, not {row['same']!r}")
            continue
        pairs.first.append(row["img1"])
        pairs.second.append(row["img2"])
        pairs.same.append(same)
    wrong += _missing(folder, ((line, row[name]) for line, row in rows for name in _PAIRS[:2]))
    _refuse(path, wrong)
    for kind, value in (("the same person", True), ("different people", False)):
        if value not in pairs.same:
            raise ListError(f"{path} holds no pair of {kind} (same {value:d})")
    return pairs


def _manifest(path: Path, folder: Path, rows: Sequence[tuple[int, dict[str, str]]]) -> Manifest:
    enrol, probes, wrong = defaultdict[str, list[str]](list), list[tuple[str, str]](), list[str]()
    for line, row in rows:
        if row["role"] not in ("enrol", "probe"):
            wrong.append(f"line {line}: role must be enrol or probe, not {row['role']!r}")
        elif not row["person"]:
            wrong.append(f"line {line}: person is empty")
        elif row["role"] == "enrol":
            enrol[row["person"]].append(row["img"])
        else:
            probes.append((row["person"], row["img"]))
    wrong += _missing(folder, ((line, row["img"]) for line, row in rows))
    both = {photo for photos in enrol.values() for photo in photos} & {p for _, p in probes}
    wrong += [f"{photo!r} is enrolled and a probe" for photo in sorted(both)]
    _refuse(path, wrong)
    strangers = any(person not in enrol for person, _ in probes)
    return _checked(Manifest(folder, dict(enrol), probes, strangers), str(path))


def _checked(manifest: Manifest, name: str) -> Manifest:
    """Return the manifest if it can be measured. Raises ListError."""
    if len(manifest.enrol) < 2:
        raise ListError(
            f"{name}: at least two people must be enrolled and have another photo to search for; "
            f"there are {len(manifest.enrol)}"
        )
    if not any(person in manifest.enrol for person, _ in manifest.probes):
        raise ListError(f"{name}: no probe shows a person who is enrolled")
    return manifest


def _missing(folder: Path, photos: Iterator[tuple[int, str]]) -> list[str]:
    return [
        f"line {line}: there is no photo {photo!r} in {folder}"
        for line, photo in photos
        if not (folder / photo).is_file()
    ]


def _refuse(path: Path, wrong: list[str]) -> None:
    if wrong:
        more = len(wrong) - _EXAMPLES
        ending = f"; and {more:,} more mistakes" if more > 0 else ""
        raise ListError(f"{path}, {'; '.join(wrong[:_EXAMPLES])}{ending}")


def _shown(path: Path) -> bool:
    return not path.name.startswith(".")

"""The commands backup and restore.

In all functions, `database` is the path of a SQLite file or MongoDB's URL.
"""

from pathlib import Path

import pytest

from app.storage import ChangesForgotten, EmployeeStore
from testbed.employees import someone
from tests.support.commands import Done, run

Database = Path | str


def command(name: str, file: Path, database: Database, **variables: str) -> Done:
    """The finished command."""
    variable = "SQLITE_PATH" if isinstance(database, Path) else "MONGO_DB_URL"
    return run(name, str(file), **{variable: str(database)}, **variables)


def done(name: str, file: Path, database: Database, **variables: str) -> str:
    """What the command said; it must have succeeded."""
    ran = command(name, file, database, **variables)
    assert ran.returncode == 0, ran.output
    return ran.stdout


def refused(name: str, file: Path, database: Database, **variables: str) -> str:
    """Why the command changed nothing."""
    ran = command(name, file, database, **variables)
    assert ran.returncode == 1
    return ran.stderr


def every_reader_must_reload_after_a_restore(
    store: EmployeeStore, file: Path, database: Database
) -> None:
    """Back up and restore an empty store, and follow its changes meanwhile."""
    at_the_beginning = store.position()
    store.add(someone(0))
    done("backup", file, database)
    store.add(someone(1))
    later = store.position()
    for _ in range(2):
        done("restore", file, database)
        for position in (at_the_beginning, later):
            with pytest.raises(ChangesForgotten):
                store.changes_since(position)
        later = store.position()
    store.add(someone(2))
    assert store.changes_since(later).employee_ids == {2}

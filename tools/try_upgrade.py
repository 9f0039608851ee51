"""Try an upgrade and a rollback: an earlier state of the service and this one on one database.

`python -m tools.try_upgrade COMMIT` serves the files of that commit beside these, with the packages
of this environment, on a SQLite file and on MongoDB. The exit status is 1 if anything did not work.
"""

import subprocess
import sys
import tarfile
from contextlib import closing
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from testbed.mongod import Mongod
from testbed.people import EILEEN, GRACE
from testbed.serving import ROOT, RunningService

_USAGE = "usage: python -m tools.try_upgrade COMMIT"


def try_upgrade(earlier: Path, folder: Path, **variables: str) -> None:
    """Upgrade, roll back and upgrade again. Raises AssertionError if somebody is lost meanwhile.

    earlier: the files of the earlier service. folder: an empty one, for the SQLite file and logs.
    variables: settings of both.
    """
    with RunningService(folder, tree=earlier, **variables) as old:
        GRACE.enrol(old)
        with RunningService(folder, **variables) as new:
            _agree(old, new)
            assert old.stop() == 0
            assert GRACE.is_known_to(new)
            assert new.stop() == 0
    print("  side by side: yes")
    with RunningService(folder, tree=earlier, **variables) as old:
        assert GRACE.is_known_to(old)
        assert EILEEN.is_known_to(old)
        EILEEN.replace(old)
        assert old.stop() == 0
    print("  rolled back: yes")
    with RunningService(folder, **variables) as new:
        assert GRACE.is_known_to(new)
        assert EILEEN.is_known_to(new)
    print("  forward again: yes")


def _agree(old: RunningService, new: RunningService) -> None:
    """What is written through one service is known to the other in its next answer."""
    assert GRACE.is_known_to(new)
    EILEEN.enrol(new)
    assert EILEEN.is_known_to(old)
    GRACE.remove(old)
    assert not GRACE.is_known_to(new)
    GRACE.enrol(old)
    GRACE.replace(new)
    assert GRACE.is_known_to(old)
    EILEEN.remove(new)
    assert not EILEEN.is_known_to(old)
    EILEEN.enrol(new)


def main() -> int:
    if len(sys.argv) != 2:
        sys.exit(_USAGE)
    words = ["git", "archive", sys.argv[1]]
    archive = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    failed = 0
    with TemporaryDirectory() as name, Mongod() as mongod:
        earlier = Path(name, "earlier")
        with closing(tarfile.open(fileobj=BytesIO(archive))) as files:
            files.extractall(earlier, filter="data")
        databases = {"SQLite": {}, "MongoDB": {"MONGO_DB_URL": f"{mongod.address}/people"}}
        for database, variables in databases.items():
            print(f"{sys.argv[1]}, {database}")
            folder = Path(name, database)
            folder.mkdir()
            try:
                try_upgrade(earlier, folder, **variables)
            except AssertionError as error:
                print(f"  then it failed: {error}")
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())

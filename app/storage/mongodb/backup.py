"""Back up and restore the collection of employees while services use it.

A backup holds the documents as they are, in BSON, one after another: as mongodump writes them.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database

from app.settings import Settings
from app.storage.backup_files import BackupRefused, Progress, new_backup, refuse_on_error
from app.storage.mongodb import probes, search
from app.storage.mongodb.changes import ChangeLog
from app.storage.mongodb.client import errors_explained, open_database
from app.storage.mongodb.store import MongoStore
from app.storage.sealing import PLAIN, VectorKeys

_BATCH = 256
_TIMEOUT_S = 60.0  # of one command; no login waits for it
_RAW = CodecOptions(
    document_class=RawBSONDocument,
    unicode_decode_error_handler="replace",  # as the service reads them
)

Raw = Collection[RawBSONDocument]


def back_up(settings: Settings, backup: Path, progress: Progress) -> int:
    """Copy all documents into the new file `backup`, while others read and write.

    Returns their number. Raises BackupRefused, StoreUnavailable, SettingsError.
    """
    with _database(settings) as database, refuse_on_error(backup):
        employees = _raw(database, settings.mongo_db_collection)
        total = employees.estimated_document_count()
        if not total:
            raise BackupRefused("the collection (MONGO_DB_COLLECTION) holds no employees")
        done = 0
        with new_backup(backup) as part, part.open("wb") as file:
            # In the order of ids, so that somebody who is replaced meanwhile is not missed.
            for document in employees.find(batch_size=_BATCH).sort("_id"):
                file.write(document.raw)
                done += 1
                if not done % _BATCH:
                    progress(done, total)
    return done


def restore(settings: Settings, keys: VectorKeys, backup: Path, progress: Progress) -> int:
    """Replace the collection with the documents of a backup, at once.

    Others may read and write meanwhile; what they write is lost. Afterwards they read the whole
    collection again. Photos used for logins since the backup stay used. Returns the number of
    documents. Raises BackupRefused, UnknownSeal, StoreUnavailable, SettingsError.
    """
    with refuse_on_error(backup):
        if not backup.is_file():
            raise BackupRefused(f"there is no file {backup}")
        sealed_with = Counter(each.get("sealed_with") or PLAIN for each in _documents(backup))
    total, done = sealed_with.total(), 0
    if not total:
        raise BackupRefused(f"{backup} holds no employees: nothing was changed")
    keys.check_keys(sealed_with)
    with closing(MongoStore(settings, keys)) as store:
        store.check_seals()  # the services could not read records sealed with other keys
    name = settings.mongo_db_collection
    with _database(settings) as database, refuse_on_error(backup):
        copy = _raw(database, f"{name}_restoring")
        copy.drop()
        documents = _documents(backup)
        try:
            while batch := list(islice(documents, _BATCH)):
                copy.insert_many(batch)
                done += len(batch)
                progress(done, total)
            if copy.count_documents({}) != total:
                raise BackupRefused(
                    f"the file, or the collection {copy.name}, has changed meanwhile: is another "
                    "restore running?"
                )
            probes.carry_over(database[name], database[copy.name])
            search.make_indexes(database[copy.name])
            copy.rename(name, dropTarget=True)
        finally:
            copy.drop()  # if it failed, no faces are left behind
        ChangeLog(database[f"{name}_changes"]).forget_all()
    return total


@contextmanager
def _database(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    client, database = open_database(settings.model_copy(update={"mongo_db_timeout_s": _TIMEOUT_S}))
    with client, errors_explained(client, _TIMEOUT_S):
        yield database


def _raw(database: Database[dict[str, Any]], name: str) -> Raw:
    """Return a collection whose documents are not decoded, so that each stays as it is."""
    return database.get_collection(name, codec_options=_RAW)  # type: ignore[return-value]


def _documents(backup: Path) -> Iterator[RawBSONDocument]:
    """Yield the documents of a backup. Raises BackupRefused."""
    try:
        with backup.open("rb") as file:
            for document in bson.decode_file_iter(file, _RAW):
                if "_id" not in document or "img" not in document:
                    raise BackupRefused(f"{backup} holds other documents than employees")
                yield document
    except BSONError as error:
        raise BackupRefused(f"{backup} is damaged, or no backup of MongoDB: {error}") from error

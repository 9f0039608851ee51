"""Which store the settings ask for."""

import structlog

from app.settings import Settings, SettingsError
from app.storage import EmployeeStore
from app.storage.sealing import VectorKeys

log = structlog.get_logger()


def open_store(settings: Settings, *, create: bool = True) -> EmployeeStore:
    """The store of these settings. Raises SettingsError, StoreUnavailable.

    create: False for commands, which make no store: raises StoreUnavailable if it is not there.
    """
    keys = vector_keys(settings)
    if settings.mongo_db_url:
        from app.storage.mongodb import MongoStore

        return MongoStore.connect(settings, keys, create=create)
    from app.storage.sqlite import SqliteStore

    if create and not settings.sqlite_path.exists():
        log.info("a new, empty store is made", path=str(settings.sqlite_path))
    return SqliteStore(settings.sqlite_path, keys, create=create)


def vector_keys(settings: Settings) -> VectorKeys:
    """The keys of VECTOR_KEYS. Raises SettingsError."""
    secret = settings.vector_keys
    try:
        return VectorKeys(secret.get_secret_value() if secret else None)
    except ValueError as error:
        raise SettingsError(f"VECTOR_KEYS: {error}") from None

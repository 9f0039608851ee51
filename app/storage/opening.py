"""Which store the settings ask for."""

from app.settings import Settings, SettingsError
from app.storage import EmployeeStore
from app.storage.sealing import VectorKeys


def open_store(settings: Settings) -> EmployeeStore:
    """The store of these settings. Raises SettingsError, StoreUnavailable."""
    keys = vector_keys(settings)
    if settings.mongo_db_url:
        from app.storage.mongodb import MongoStore

        return MongoStore.connect(settings, keys)
    from app.storage.sqlite import SqliteStore

    return SqliteStore(settings.sqlite_path, keys)


def vector_keys(settings: Settings) -> VectorKeys:
    """The keys of VECTOR_KEYS. Raises SettingsError."""
    secret = settings.vector_keys
    try:
        return VectorKeys(secret.get_secret_value() if secret else None)
    except ValueError as error:
        raise SettingsError(f"VECTOR_KEYS: {error}") from None

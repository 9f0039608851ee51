"""The connection to MongoDB that the settings ask for, and what its errors mean."""

from typing import Any

from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)

from app.settings import Settings, SettingsError
from app.storage.mongodb_writer import Undecided

Document = dict[str, Any]

DEFAULT_DATABASE = "whosthatpokemon"
AUTHENTICATION_FAILED = (18, 8000)
UNAUTHORIZED = 13


def client_of(settings: Settings) -> tuple[MongoClient[Document], str]:
    """A client that connects when it is first used, and the name of the database.

    Raises SettingsError when the settings make no connection string.
    """
    if not settings.mongo_db_url:
        raise SettingsError("MONGO_DB_URL is not set")
    if "@" in settings.mongo_db_url.partition("/")[0]:
        raise SettingsError(
            "MONGO_DB_URL holds a user name: set MONGO_DB_USERNAME and MONGO_DB_PASSWORD"
        )
    password = settings.mongo_db_password
    if password and not settings.mongo_db_username:
        raise SettingsError("MONGO_DB_PASSWORD is set, MONGO_DB_USERNAME is not")
    if settings.mongo_db_username and not password:
        raise SettingsError("MONGO_DB_USERNAME is set, MONGO_DB_PASSWORD is not")
    timeout_ms = round(settings.mongo_db_timeout_s * 1000)
    try:
        client: MongoClient[Document] = MongoClient(
            f"{settings.mongo_db_protocol}://{settings.mongo_db_url}",
            # Given beside the URI, the password is in no string that could be shown.
            username=settings.mongo_db_username,
            password=password.get_secret_value() if password else None,
            connect=False,
            timeoutMS=timeout_ms,
            serverSelectionTimeoutMS=timeout_ms,
            connectTimeoutMS=timeout_ms,
        )
        database = client.get_default_database(DEFAULT_DATABASE).name
    except (PyMongoError, ValueError, TypeError, OSError) as error:
        raise SettingsError(
            f"MONGO_DB_URL is not of the form host:port/database?options: {error}"
        ) from None
    return client, database


def reason(error: PyMongoError | BSONError, timeout_s: float) -> str:
    """What went wrong, as a sentence without secrets and without what was stored."""
    if isinstance(error, PyMongoError) and error.timeout:
        return f"the database (MONGO_DB_URL) did not answer within {timeout_s:g} s"
    if isinstance(error, Undecided):
        return "the connection to the database (MONGO_DB_URL) was lost during a write"
    if isinstance(error, OperationFailure):
        if error.code in AUTHENTICATION_FAILED:
            return (
                "the database refused the user name or password "
                "(MONGO_DB_USERNAME, MONGO_DB_PASSWORD)"
            )
        if error.code == UNAUTHORIZED:
            return "the database does not permit this to its user (MONGO_DB_USERNAME)"
        # The message itself may quote the document.
        return f"the database refused: {(error.details or {}).get('codeName', error.code)}"
    if isinstance(error, ConnectionFailure):
        return "the connection to the database (MONGO_DB_URL) was lost"
    if isinstance(error, ConfigurationError):
        return f"the database (MONGO_DB_URL) cannot be used: {error}"
    return f"the database cannot be used: {type(error).__name__}"

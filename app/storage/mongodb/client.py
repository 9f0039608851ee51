"""The connection to MongoDB: its settings, its deadline, and the meaning of its errors."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.common import MIN_HEARTBEAT_INTERVAL
from pymongo.database import Database
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    ProtocolError,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import split_options

from app.settings import Settings, SettingsError
from app.storage import StoreUnavailable
from app.storage.mongodb.writer import Undecided

Document = dict[str, Any]

DEFAULT_DATABASE = "whosthatpokemon"
# Error codes of the server; 8000 is what MongoDB Atlas returns.
AUTHENTICATION_FAILED = (18, 8000)
UNAUTHORIZED = 13


def open_database(settings: Settings) -> tuple[MongoClient[Document], Database[Document]]:
    """Return a client that connects when it is first used, and the database as all use it.

    Raises SettingsError if the settings do not form a connection string.
    """
    if not settings.mongo_db_url:
        raise SettingsError("MONGO_DB_URL is not set")
    address, _, options = settings.mongo_db_url.partition("?")
    if "@" in address:
        raise SettingsError(
            "MONGO_DB_URL holds a user name: set MONGO_DB_USERNAME and MONGO_DB_PASSWORD"
        )
    if "://" in address:
        raise SettingsError(
            "MONGO_DB_URL must be host:port/database alone: what precedes :// goes into "
            "MONGO_DB_PROTOCOL"
        )
    password = settings.mongo_db_password
    if password and not settings.mongo_db_username:
        raise SettingsError("MONGO_DB_PASSWORD is set, but MONGO_DB_USERNAME is not")
    if settings.mongo_db_username and not password:
        raise SettingsError("MONGO_DB_USERNAME is set, but MONGO_DB_PASSWORD is not")
    timeout_ms = round(settings.mongo_db_timeout_s * 1000)
    try:
        if options:
            split_options(options)  # raises on a misspelt option, which MongoClient ignores
        client: MongoClient[Document] = MongoClient(
            f"{settings.mongo_db_protocol}://{settings.mongo_db_url}",
            # Kept out of the URI, so that no message can show the password.
            username=settings.mongo_db_username,
            password=password.get_secret_value() if password else None,
            connect=False,
            timeoutMS=timeout_ms,
            serverSelectionTimeoutMS=timeout_ms,
            connectTimeoutMS=timeout_ms,
        )
        database = client.get_default_database(
            DEFAULT_DATABASE,
            # One invalid character must not make a whole batch unreadable.
            codec_options=CodecOptions(unicode_decode_error_handler="replace"),
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern("majority", j=True),
        )
    except (PyMongoError, ValueError, TypeError, OSError) as error:
        raise SettingsError(
            f"MONGO_DB_URL is not of the form host:port/database?options: {error}"
        ) from None
    return client, database


@contextmanager
def operation(client: MongoClient[Document], timeout_s: float) -> Iterator[None]:
    """Apply one deadline to all calls in the block; raise their errors as StoreUnavailable."""
    # pymongo looks for a server for up to one heartbeat longer than it should.
    deadline_s = max(timeout_s / 2, timeout_s - MIN_HEARTBEAT_INTERVAL)
    with errors_explained(client, timeout_s), pymongo.timeout(deadline_s):
        yield


@contextmanager
def errors_explained(client: MongoClient[Document], timeout_s: float) -> Iterator[None]:
    """Raise errors of the block as StoreUnavailable.

    timeout_s: the deadline that its calls have.
    """
    try:
        yield
    except (PyMongoError, BSONError) as error:
        raise StoreUnavailable(_reason(error, timeout_s, client)) from error


def _reason(
    error: PyMongoError | BSONError, timeout_s: float, client: MongoClient[Document]
) -> str:
    """Return what went wrong, as a sentence without secrets and without stored data.

    client: knows why it found no server.
    """
    if isinstance(error, ServerSelectionTimeoutError) and (causes := _causes(client)):
        return "; ".join(causes)
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
            return "the database does not permit its user (MONGO_DB_USERNAME) to do this"
        # The message itself may quote the document.
        return f"the database refused: {(error.details or {}).get('codeName', error.code)}"
    if isinstance(error, ConnectionFailure):
        return "the connection to the database (MONGO_DB_URL) was lost"
    if isinstance(error, ConfigurationError):
        if type(error.__cause__).__module__.startswith("dns."):
            return (
                "the host of the database (MONGO_DB_URL) cannot be found in DNS, which "
                f"MONGO_DB_PROTOCOL mongodb+srv requires: {error.__cause__}"
            )
        return f"the database (MONGO_DB_URL) cannot be used: {error}"
    return f"the database cannot be used: {type(error).__name__}"


def _causes(client: MongoClient[Document]) -> list[str]:
    """Return why servers cannot be used, each sentence once; omit servers that are merely slow."""
    topology = client.topology_description
    servers = topology.server_descriptions().items()
    if not servers:
        return ["no server is in the replica set that MONGO_DB_URL names (replicaSet)"]
    sentences = [
        sentence.format(server=f"{host}:{port} (MONGO_DB_URL)")
        for (host, port), server in servers
        if server.error and (sentence := _server_error(server.error))
    ]
    if topology.topology_type_name == "ReplicaSetNoPrimary":
        sentences.append("the replica set (MONGO_DB_URL) has no primary")
    return list(dict.fromkeys(sentences))


def _server_error(error: Exception) -> str | None:
    """Return what went wrong with {server}; pymongo keeps the cause only in the text."""
    text = str(error)
    number = re.search(r"\[Errno (-?\d+)\]", text)
    code = int(number[1]) if number else 0
    if isinstance(error, ProtocolError):
        return "{server} does not answer as MongoDB does: it is another service"
    if untrusted := re.search("certificate verify failed: ([^(]*)", text):
        what = untrusted[1].strip(" .").replace("{", "").replace("}", "")
        return f"the certificate of {{server}} is not trusted, see tlsCAFile: {what}"
    if "SSL" in text:
        return "{server} does not speak TLS, which MONGO_DB_URL or MONGO_DB_PROTOCOL asks for"
    if code < 0:
        return "the host of {server} cannot be resolved"
    if code == errno.ECONNREFUSED:
        return "nothing listens at {server}: the connection is refused"
    if code == errno.ECONNRESET or "connection closed" in text:
        return (
            "{server} closes the connection: it may want TLS (tls=true in MONGO_DB_URL), or it is "
            "another service"
        )
    return f"{{server}} cannot be reached: {os.strerror(code)}" if code else None

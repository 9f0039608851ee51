"""The connection to MongoDB that the settings ask for, and what its errors mean."""

import errno
import os
import re
from typing import Any

from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    ProtocolError,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.uri_parser import split_options

from app.settings import Settings, SettingsError
from app.storage.mongodb.writer import Undecided

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
    address, _, options = settings.mongo_db_url.partition("?")
    if "@" in address:
        raise SettingsError(
            "MONGO_DB_URL holds a user name: set MONGO_DB_USERNAME and MONGO_DB_PASSWORD"
        )
    if "://" in address:
        raise SettingsError(
            "MONGO_DB_URL is host:port/database alone: what stands before :// is MONGO_DB_PROTOCOL"
        )
    password = settings.mongo_db_password
    if password and not settings.mongo_db_username:
        raise SettingsError("MONGO_DB_PASSWORD is set, MONGO_DB_USERNAME is not")
    if settings.mongo_db_username and not password:
        raise SettingsError("MONGO_DB_USERNAME is set, MONGO_DB_PASSWORD is not")
    timeout_ms = round(settings.mongo_db_timeout_s * 1000)
    try:
        if options:
            split_options(options)  # a misspelt one is refused here, and elsewhere passed over
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


def reason(error: PyMongoError | BSONError, timeout_s: float, client: MongoClient[Document]) -> str:
    """What went wrong, as a sentence without secrets and without what was stored.

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
            return "the database does not permit this to its user (MONGO_DB_USERNAME)"
        # The message itself may quote the document.
        return f"the database refused: {(error.details or {}).get('codeName', error.code)}"
    if isinstance(error, ConnectionFailure):
        return "the connection to the database (MONGO_DB_URL) was lost"
    if isinstance(error, ConfigurationError):
        if type(error.__cause__).__module__.startswith("dns."):
            return (
                "the host of the database (MONGO_DB_URL) is not to be found in the DNS, as "
                f"MONGO_DB_PROTOCOL mongodb+srv needs it: {error.__cause__}"
            )
        return f"the database (MONGO_DB_URL) cannot be used: {error}"
    return f"the database cannot be used: {type(error).__name__}"


def _causes(client: MongoClient[Document]) -> list[str]:
    """Why servers cannot be used, each sentence once; nothing of those that are merely slow."""
    topology = client.topology_description
    servers = topology.server_descriptions().items()
    if not servers:
        return ["no server is in the replica set that MONGO_DB_URL names (replicaSet)"]
    sentences = [
        sentence.format(server=f"{host}:{port} (MONGO_DB_URL)")
        for (host, port), server in servers
        if server.error and (sentence := _sentence(server.error))
    ]
    if topology.topology_type_name == "ReplicaSetNoPrimary":
        sentences.append("the replica set (MONGO_DB_URL) has no primary")
    return list(dict.fromkeys(sentences))


def _sentence(error: Exception) -> str | None:
    """What an attempt to reach {server} says. pymongo keeps the cause in the text alone."""
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
        return "the host of {server} is not known to the DNS"
    if code == errno.ECONNREFUSED:
        return "nothing listens at {server}: the connection is refused"
    if code == errno.ECONNRESET or "connection closed" in text:
        return (
            "{server} closes the connection: it may want TLS (tls=true in MONGO_DB_URL), or it is "
            "another service"
        )
    return f"{{server}} cannot be reached: {os.strerror(code)}" if code else None

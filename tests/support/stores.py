"""A store of its own for each test module, and a shared index if one is asked for."""

from uuid import uuid4

import pytest

from testbed.milvus import MilvusServer
from testbed.mongod import Mongod


def store_variables(request: pytest.FixtureRequest, store: str) -> dict[str, str]:
    """Return the environment of services on a new store; nothing for SQLite.

    store: words that say what it consists of, such as "milvus and mongodb".
    """
    name, variables = f"t{uuid4().hex}", dict[str, str]()
    if "mongodb" in store:
        mongod: Mongod = request.getfixturevalue("mongod")
        request.addfinalizer(lambda: mongod.drop(name))
        variables |= {"MONGO_DB_URL": f"{mongod.address}/{name}", "MONGO_DB_TIMEOUT_S": "20"}
    if "milvus" in store:
        milvus: MilvusServer = request.getfixturevalue("milvus")
        variables |= {"GALLERY_INDEX": "milvus", "MILVUS_URI": milvus.uri}
        variables |= {"MILVUS_COLLECTION": name, "MILVUS_TIMEOUT_S": "20"}
    return variables

"""Searches by name, group and external id in MongoDB.

The functions raise pymongo's errors and keep the deadline (`pymongo.timeout`) they run under.
"""

from typing import Any

import structlog
from pymongo import IndexModel, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from app.storage import Selection
from app.storage.mongodb.documents import enrolment_query
from app.storage.names import last_with, words

log = structlog.get_logger()

Employees = Collection[dict[str, Any]]

_BATCH = 1_000  # documents whose names are indexed at a time
_INDEXES = [
    IndexModel("words"),
    IndexModel("groups"),
    IndexModel("second.model", sparse=True),
    IndexModel(
        "external_id", unique=True, partialFilterExpression={"external_id": {"$type": "string"}}
    ),
]


def query(selection: Selection) -> dict[str, Any]:
    """Return the query for the documents of a selection."""
    conditions: list[dict[str, Any]] = [
        {"words": {"$elemMatch": {"$gte": word, "$lte": last_with(word)}}}
        for word in selection.words
    ]
    if selection.groups is not None:
        conditions.append({"groups": {"$in": sorted(selection.groups)}})
    if selection.external_id is not None:
        conditions.append({"external_id": selection.external_id})
    if selection.lacks_second:
        conditions.append({"second.model": {"$exists": False}})
    return {"$and": conditions} if conditions else {}


def make_indexes(employees: Employees) -> None:
    """Make the indexes that searches use; they also keep external ids apart."""
    for index in _INDEXES:
        try:
            employees.create_indexes([index])
        except OperationFailure as error:
            reason = (error.details or {}).get("codeName", error.code)
            name = index.document["name"]
            log.warning(
                "MongoDB did not make an index: searches are slow, external ids may be given twice",
                index=name,
                reason=reason,
            )


def index_some(employees: Employees) -> bool:
    """Add the words of names to a batch of documents that lack them; return if there were any."""
    lacking = {"words": None}
    updates = []
    for document in employees.find(lacking, ["name", "surname", "enrolment_id"]).limit(_BATCH):
        names = " ".join(str(document.get(name) or "") for name in ("name", "surname"))
        # Not if the employee is enrolled again meanwhile, under another name.
        same = enrolment_query(document["_id"], document.get("enrolment_id")) | lacking
        updates.append(UpdateOne(same, {"$set": {"words": list(words(names))}}))
    return bool(updates) and employees.bulk_write(updates, ordered=False).modified_count > 0

"""The tables of the SQLite file, and how files of older releases come to them."""

from app.storage.sealing import PLAIN

SCHEMA_VERSION = 4
# `vectors` holds (n, dimension) little-endian float32, row by row, or as many bytes of ciphertext.
# What is counted is indexed, so that counting never reads their pages.
# `photo_hashes` holds hashes of PHOTO_HASH_BYTES, one after the other.
PHOTO_HASH_BYTES = 64
PROBES = """
CREATE TABLE used_probes (
    employee_id INTEGER NOT NULL,
    photo_hash BLOB NOT NULL,
    until REAL NOT NULL
) STRICT;
CREATE INDEX used_probes_by_employee ON used_probes (employee_id)"""
SCHEMA = f"""
CREATE TABLE employees (
    employee_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    surname TEXT NOT NULL,
    enrolment_id TEXT NOT NULL DEFAULT '',
    photo_hashes BLOB NOT NULL DEFAULT x'',
    model TEXT NOT NULL,
    dimension INTEGER NOT NULL CHECK (dimension > 0),
    sealed_with TEXT NOT NULL DEFAULT '{PLAIN}',
    seal BLOB NOT NULL DEFAULT x'',
    vectors BLOB NOT NULL CHECK (length(vectors) > 0 AND length(vectors) % (4 * dimension) = 0)
) STRICT;
CREATE INDEX employees_by_model ON employees (model);
CREATE INDEX employees_by_seal ON employees (sealed_with);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    employee_id INTEGER NOT NULL
) STRICT;
{PROBES};
PRAGMA user_version = {SCHEMA_VERSION};
"""
FROM_VERSION_2 = f"""
ALTER TABLE employees ADD COLUMN photo_hashes BLOB NOT NULL DEFAULT x'';
ALTER TABLE employees ADD COLUMN sealed_with TEXT NOT NULL DEFAULT '{PLAIN}';
ALTER TABLE employees ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
CREATE INDEX employees_by_seal ON employees (sealed_with);
{PROBES};
PRAGMA user_version = {SCHEMA_VERSION};
"""
# Hashes of another kind are compared since then, and no photo is there to make them of.
FROM_VERSION_3 = f"""
DROP TABLE used_probes;
{PROBES};
UPDATE employees SET photo_hashes = x'';
PRAGMA user_version = {SCHEMA_VERSION};
"""  # noqa: S608
FROM_VERSION_1 = f"""
ALTER TABLE employees ADD COLUMN enrolment_id TEXT NOT NULL DEFAULT '';
{FROM_VERSION_2}
"""
# By the version a file has; 0 is a new one.
LAYOUTS = {0: SCHEMA, 1: FROM_VERSION_1, 2: FROM_VERSION_2, 3: FROM_VERSION_3}
COLUMNS = (
    "employee_id, name, surname, enrolment_id, photo_hashes, model, dimension, "
    "sealed_with, seal, vectors"
)

"""The tables of the SQLite file, and the upgrades from the schemas of older releases."""

from app.storage.sealing import PLAIN

SCHEMA_VERSION = 4
PHOTO_HASH_BYTES = 64  # the size of one hash; `photo_hashes` holds them concatenated
PROBES = """
CREATE TABLE used_probes (
    employee_id INTEGER NOT NULL,
    photo_hash BLOB NOT NULL,
    until REAL NOT NULL
) STRICT;
CREATE INDEX used_probes_by_employee ON used_probes (employee_id)"""
# `vectors` holds (n, dimension) little-endian float32, row by row, or as many bytes of ciphertext.
# The indexes serve counting, which then never reads the large rows of vectors.
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
# Version 4 compares hashes of another kind. The old ones cannot be converted without the photos.
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
# The statements to run, by the schema version of the file; a new file has version 0.
MIGRATIONS = {0: SCHEMA, 1: FROM_VERSION_1, 2: FROM_VERSION_2, 3: FROM_VERSION_3}
COLUMNS = (
    "employee_id, name, surname, enrolment_id, photo_hashes, model, dimension, "
    "sealed_with, seal, vectors"
)

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
# What older releases of this schema version ignore, so that they work on the file, too. Triggers
# keep the tables right whichever release writes. `samples` says of which enrolment it is, because
# an older release replaces vectors without it. `unindexed` names the employees whose words are
# missing.
ADDED_COLUMNS = {
    "external_id": "TEXT",
    "metadata": "TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata))",
    "group_names": "TEXT NOT NULL DEFAULT '[]' CHECK (json_type(group_names) = 'array')",
    "enrolled_at": "INTEGER",
    "updated_at": "INTEGER",
    "samples": "TEXT NOT NULL DEFAULT '[null]' CHECK (json_type(samples) = 'array')",
}
_JOIN_GROUPS = """
    INSERT OR IGNORE INTO members (group_name, employee_id)
    SELECT value, new.employee_id FROM json_each(new.group_names);"""
ADDITIONS = f"""
{"".join(f"ALTER TABLE employees ADD COLUMN {c} {t};" for c, t in ADDED_COLUMNS.items())}
CREATE UNIQUE INDEX employees_by_external_id ON employees (external_id)
    WHERE external_id IS NOT NULL;
CREATE TABLE members (
    group_name TEXT NOT NULL,
    employee_id INTEGER NOT NULL,
    PRIMARY KEY (group_name, employee_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_employee ON members (employee_id);
CREATE TABLE words (
    word TEXT NOT NULL,
    employee_id INTEGER NOT NULL,
    PRIMARY KEY (word, employee_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX words_by_employee ON words (employee_id);
CREATE TABLE unindexed (employee_id INTEGER PRIMARY KEY) STRICT;
INSERT INTO unindexed SELECT employee_id FROM employees;
CREATE TRIGGER employee_added AFTER INSERT ON employees BEGIN
    INSERT OR IGNORE INTO unindexed VALUES (new.employee_id);{_JOIN_GROUPS}
END;
CREATE TRIGGER employee_renamed AFTER UPDATE OF name, surname ON employees BEGIN
    DELETE FROM words WHERE employee_id = old.employee_id;
    INSERT OR IGNORE INTO unindexed VALUES (new.employee_id);
END;
CREATE TRIGGER employee_moved AFTER UPDATE OF group_names ON employees BEGIN
    DELETE FROM members WHERE employee_id = old.employee_id;{_JOIN_GROUPS}
END;
CREATE TRIGGER employee_removed AFTER DELETE ON employees BEGIN
    DELETE FROM words WHERE employee_id = old.employee_id;
    DELETE FROM members WHERE employee_id = old.employee_id;
    DELETE FROM unindexed WHERE employee_id = old.employee_id;
END;
"""  # noqa: S608
# What came after those additions, in the same way.
SECOND = """
ALTER TABLE employees ADD COLUMN second TEXT CHECK (json_type(second) = 'object');
CREATE INDEX employees_by_second ON employees (json_extract(second, '$.model'))
    WHERE second IS NOT NULL;
"""
# Beside `samples`, where older releases expect two values of each. It, too, says of which enrolment
# it is.
QUALITIES = """
ALTER TABLE employees ADD COLUMN qualities TEXT NOT NULL DEFAULT '[null]'
    CHECK (json_type(qualities) = 'array');
"""
COLUMNS = (
    "employee_id",
    "name",
    "surname",
    "enrolment_id",
    "photo_hashes",
    "model",
    "dimension",
    *ADDED_COLUMNS,
    "second",
    "qualities",
    "sealed_with",
    "seal",
    "vectors",
)

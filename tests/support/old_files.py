"""SQLite files of former releases."""

FIRST_SCHEMA = """
CREATE TABLE employees (
    employee_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    surname TEXT NOT NULL,
    model TEXT NOT NULL,
    dimension INTEGER NOT NULL CHECK (dimension > 0),
    vectors BLOB NOT NULL CHECK (length(vectors) > 0 AND length(vectors) % (4 * dimension) = 0)
) STRICT;
CREATE INDEX employees_by_model ON employees (model);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    employee_id INTEGER NOT NULL
) STRICT;
PRAGMA user_version = 1;
"""

BEGIN TRANSACTION;
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    employee_id INTEGER NOT NULL
) STRICT;
INSERT INTO "changes" VALUES(1,1);
INSERT INTO "changes" VALUES(2,2);
CREATE TABLE employees (
    employee_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    surname TEXT NOT NULL,
    enrolment_id TEXT NOT NULL DEFAULT '',
    photo_hashes BLOB NOT NULL DEFAULT x'',
    model TEXT NOT NULL,
    dimension INTEGER NOT NULL CHECK (dimension > 0),
    sealed_with TEXT NOT NULL DEFAULT 'plain',
    seal BLOB NOT NULL DEFAULT x'',
    vectors BLOB NOT NULL CHECK (length(vectors) > 0 AND length(vectors) % (4 * dimension) = 0)
, external_id TEXT, metadata TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)), group_names TEXT NOT NULL DEFAULT '[]' CHECK (json_type(group_names) = 'array'), enrolled_at INTEGER, updated_at INTEGER, samples TEXT NOT NULL DEFAULT '[null]' CHECK (json_type(samples) = 'array'), second TEXT CHECK (json_type(second) = 'object'), qualities TEXT NOT NULL DEFAULT '[null]'
    CHECK (json_type(qualities) = 'array')) STRICT;
INSERT INTO "employees" VALUES(1,'name 0','surname','first',X'0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000','dlib',8,'plain',X'',X'61B82B3E5F21CC3E9331243E5AE221BF58EFE03E84CD5D3ED56785BEDA60903E190D903EF96F683E4EAFB33CEB04D83EC57E11BF38BD00BE297FBEBE479EEC3E','HR-1','{"shoe": 42}','["site-a"]',100,200,'["first", [100, 1], [200, 1]]','{"of": "first", "model": "vggface2", "dimension": 8, "samples": [[300, 1]], "qualities": ["fair"], "photo_hashes": "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", "of_logins": false, "sealed_with": "plain", "seal": "", "vectors": "ul4EP2TBJb/E79g9NkwTvhTd6r07u1+9KQMDv9KucL0="}','["first", "good", null]');
INSERT INTO "employees" VALUES(2,'name 0','surname','second',X'','dlib',8,'c7ce0cc8',X'CEF9BEDDB3B72A6C084449241DBE40994EE5BFF0EC95B05C79C81EFA',X'331E1FD27B9FA0803CF1EEBEAE7ABCE1B84274B2D36DDE4F2FC4E4F3C0941F1A',NULL,'{}','[]',NULL,NULL,'["second", [null, 0]]','{"of": "second", "model": "vggface2", "dimension": 8, "samples": [[300, 0]], "qualities": [null], "photo_hashes": "", "of_logins": false, "sealed_with": "c7ce0cc8", "seal": "4a156d83dc2a47cd185658ac93c5828796983e313e389d97763b1d41", "vectors": "c+hOusX0nWCV3SyO2olVwKhKFXfh9PK+dWsE6rIvxBA="}','["second", null]');
CREATE TABLE liveness_sessions (
    session_id TEXT PRIMARY KEY,
    challenge TEXT NOT NULL,
    owner TEXT NOT NULL,
    until REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE members (
    group_name TEXT NOT NULL,
    employee_id INTEGER NOT NULL,
    PRIMARY KEY (group_name, employee_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "members" VALUES('site-a',1);
CREATE TABLE unindexed (employee_id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE used_probes (
    employee_id INTEGER NOT NULL,
    photo_hash BLOB NOT NULL,
    until REAL NOT NULL
) STRICT;
INSERT INTO "used_probes" VALUES(1,X'0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000',2000000000.0);
CREATE TABLE words (
    word TEXT NOT NULL,
    employee_id INTEGER NOT NULL,
    PRIMARY KEY (word, employee_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "words" VALUES('0',1);
INSERT INTO "words" VALUES('name',1);
INSERT INTO "words" VALUES('surname',1);
INSERT INTO "words" VALUES('0',2);
INSERT INTO "words" VALUES('name',2);
INSERT INTO "words" VALUES('surname',2);
CREATE INDEX employees_by_model ON employees (model);
CREATE INDEX employees_by_seal ON employees (sealed_with);
CREATE INDEX used_probes_by_employee ON used_probes (employee_id);
CREATE UNIQUE INDEX employees_by_external_id ON employees (external_id)
    WHERE external_id IS NOT NULL;
CREATE INDEX members_by_employee ON members (employee_id);
CREATE INDEX words_by_employee ON words (employee_id);
CREATE TRIGGER employee_added AFTER INSERT ON employees BEGIN
    INSERT OR IGNORE INTO unindexed VALUES (new.employee_id);
    INSERT OR IGNORE INTO members (group_name, employee_id)
    SELECT value, new.employee_id FROM json_each(new.group_names);
END;
CREATE TRIGGER employee_renamed AFTER UPDATE OF name, surname ON employees BEGIN
    DELETE FROM words WHERE employee_id = old.employee_id;
    INSERT OR IGNORE INTO unindexed VALUES (new.employee_id);
END;
CREATE TRIGGER employee_moved AFTER UPDATE OF group_names ON employees BEGIN
    DELETE FROM members WHERE employee_id = old.employee_id;
    INSERT OR IGNORE INTO members (group_name, employee_id)
    SELECT value, new.employee_id FROM json_each(new.group_names);
END;
CREATE TRIGGER employee_removed AFTER DELETE ON employees BEGIN
    DELETE FROM words WHERE employee_id = old.employee_id;
    DELETE FROM members WHERE employee_id = old.employee_id;
    DELETE FROM unindexed WHERE employee_id = old.employee_id;
END;
CREATE INDEX employees_by_second ON employees (json_extract(second, '$.model'))
    WHERE second IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('changes',2);
COMMIT;
PRAGMA user_version = 4;

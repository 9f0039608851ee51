"""What is particular to MongoDB: its settings, its change log, and a server that is unavailable."""

import time
from uuid import uuid4

import pytest

from app.settings import Settings, SettingsError
from app.storage import ChangesForgotten, EmployeeExists, NoSuchEmployee, StoreUnavailable
from app.storage.mongodb.changes import CHANGES_KEPT, PRUNE_EVERY
from app.storage.mongodb.store import MongoStore
from testbed.employees import as_stored, everything, ids, someone
from testbed.mongod import Mongod

PASSWORD = "p@ss/w:rd?#%&=+ é%40"
TIMEOUT_S = 1.0


def connected(**settings: object) -> MongoStore:
    return MongoStore(Settings.model_validate({"mongo_db_timeout_s": TIMEOUT_S} | settings))


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        [
            "host:port/database",
            "host:1:2/database",
            "host:99999/database",
            "/database",
            "mongodb://host:27017/database",
            "host:27017/data base",
            "host:27017/database?tls",
            "host:27017,/database",
            "host/database?tsl=true",
            "host/database?tls=maybe",
        ],
    )
    def test_a_malformed_url_is_refused_at_once(self, url: str) -> None:
        with pytest.raises(SettingsError, match="MONGO_DB_URL"):
            connected(
                mongo_db_url=url, mongo_db_username="service", mongo_db_password=PASSWORD
            ).close()

    @pytest.mark.parametrize("scheme", ["", "mongodb://", "mongodb+srv://"])
    def test_credentials_within_the_url_are_refused_and_not_repeated(self, scheme: str) -> None:
        with pytest.raises(SettingsError, match="MONGO_DB_USERNAME") as caught:
            connected(mongo_db_url=f"{scheme}service:s3cret@host/database")
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize("protocol", ["mongodb", "mongodb+srv"])
    def test_a_host_that_does_not_exist_is_noticed_when_it_is_asked(self, protocol: str) -> None:
        store = connected(mongo_db_protocol=protocol, mongo_db_url="db.nowhere.invalid/database")
        with pytest.raises(StoreUnavailable, match="MONGO_DB_URL"):
            store.count()
        store.close()

    def test_a_password_needs_a_user(self) -> None:
        with pytest.raises(SettingsError, match="MONGO_DB_USERNAME"):
            connected(mongo_db_url="host/database", mongo_db_password=PASSWORD)

    def test_an_impossible_collection_name(self) -> None:
        with pytest.raises(SettingsError, match="MONGO_DB_COLLECTION"):
            connected(mongo_db_url="host/database", mongo_db_collection="a..b")

    @pytest.mark.mongod
    @pytest.mark.parametrize("path", ["", "/", "/?appName=tests"])
    def test_the_database_has_a_default_name(self, mongod: Mongod, path: str) -> None:
        store = connected(mongo_db_url=mongod.address + path, mongo_db_collection=uuid4().hex)
        store.add(someone(1))
        with mongod.client() as client:
            assert "whosthatpokemon" in client.list_database_names()
        mongod.drop("whosthatpokemon")
        store.close()

    @pytest.mark.mongod
    def test_url_options_cannot_weaken_durability(self, mongod: Mongod, database: str) -> None:
        store = connected(
            mongo_db_url=f"{mongod.address}/{database}?w=0&journal=false&readPreference=secondary"
        )
        store.add(someone(1))
        with pytest.raises(EmployeeExists):  # with w=0 nobody would be told
            store.add(someone(1))
        store.close()


@pytest.mark.mongod
class TestChangeLog:
    def test_numbers_have_no_gaps(
        self, mongo_store: MongoStore, mongod: Mongod, database: str
    ) -> None:
        for employee_id in range(5):
            mongo_store.add(someone(employee_id))
        with mongod.client() as client:
            entries = list(client[database]["users_changes"].find().sort("_id"))
        assert [entry["_id"] for entry in entries] == [1, 2, 3, 4, 5]
        assert [entry["employee_id"] for entry in entries] == [0, 1, 2, 3, 4]

    def test_old_entries_are_forgotten_new_ones_kept(
        self, mongo_store: MongoStore, mongod: Mongod, database: str
    ) -> None:
        mongo_store.add(someone(0))
        early = mongo_store.position()
        newest = CHANGES_KEPT + PRUNE_EVERY - 1
        with mongod.client() as client:
            log = client[database]["users_changes"]
            log.insert_many(
                {"_id": number, "employee_id": 5, "tag": 1} for number in range(2, newest + 1)
            )
            assert mongo_store.changes_since(early).employee_ids == {5}
            recent = mongo_store.position()
            mongo_store.add(someone(1))
            assert log.count_documents({}) == CHANGES_KEPT
        assert mongo_store.changes_since(recent).employee_ids == {1}
        for forgotten in (0, early):
            with pytest.raises(ChangesForgotten):
                mongo_store.changes_since(forgotten)

    def test_a_log_that_was_dropped_is_noticed_however_far_it_grew_since(
        self, mongo_store: MongoStore, mongod: Mongod, database: str
    ) -> None:
        mongo_store.add(someone(0))
        mongo_store.add(someone(1))
        position = mongo_store.position()
        with mongod.client() as client:
            client[database].drop_collection("users_changes")
        with pytest.raises(ChangesForgotten):
            mongo_store.changes_since(position)
        for employee_id in (2, 3, 4):
            mongo_store.add(someone(employee_id))
            with pytest.raises(ChangesForgotten):
                mongo_store.changes_since(position)
        assert mongo_store.changes_since(mongo_store.position()).employee_ids == frozenset()

    def test_a_write_that_missed_the_log_is_logged_by_whoever_sees_it_first(
        self, mongo_store: MongoStore, mongod: Mongod, database: str
    ) -> None:
        mongo_store.add(someone(0))
        mongo_store.add(someone(1))
        position = mongo_store.position()
        with mongod.client() as client:
            # A view in the log's place can be read and refuses to be written.
            client[database]["users_changes"].rename("kept")
            client[database].command("create", "users_changes", viewOn="kept", pipeline=[])
            with pytest.raises(StoreUnavailable):
                mongo_store.replace(someone(0, seed=5))
            with pytest.raises(StoreUnavailable):
                mongo_store.remove(1)
            with pytest.raises(StoreUnavailable):
                mongo_store.add(someone(2))
            client[database].drop_collection("users_changes")
            client[database]["kept"].rename("users_changes")
            assert mongo_store.changes_since(position).employee_ids == frozenset()
            assert ids(mongo_store.get([0])) == [0]
            assert mongo_store.changes_since(position).employee_ids == {0}
            written = [as_stored(someone(0, seed=5)), as_stored(someone(2))]
            assert everything(mongo_store) == written
            assert mongo_store.changes_since(position).employee_ids == {0, 2}
            logged = mongo_store.position()
            assert everything(mongo_store) == written
            assert mongo_store.position() == logged
            assert not list(client[database]["users"].find({"unlogged": True}))

        with pytest.raises(NoSuchEmployee):
            mongo_store.remove(1)
        with pytest.raises(EmployeeExists):
            mongo_store.add(someone(2))


@pytest.mark.mongod
class TestAServerThatIsAway:
    def fails_in_time(self, store: MongoStore, sentence: str) -> None:
        for ask in (store.count, store.position, lambda: store.add(someone(9))):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable, match=sentence):
                ask()
            assert time.monotonic() - started < TIMEOUT_S + 0.9

    def test_a_server_that_is_down_at_the_start(self) -> None:
        with Mongod() as mongod:
            address = mongod.address
        started = time.monotonic()
        store = connected(mongo_db_url=f"{address}/database")
        assert time.monotonic() - started < 0.5 * TIMEOUT_S
        self.fails_in_time(store, "nothing listens at 127.0.0.1:")
        store.close()

    def test_frozen_and_awake_again(self) -> None:
        with Mongod() as mongod:
            store = connected(mongo_db_url=f"{mongod.address}/database")
            store.add(someone(1))
            with mongod.frozen():
                self.fails_in_time(store, "did not answer within 1 s")
                newcomer = connected(mongo_db_url=f"{mongod.address}/database")
                self.fails_in_time(newcomer, "did not answer within 1 s")
                newcomer.close()
            assert ids(store.get([1])) == [1]
            store.close()

    @pytest.mark.timed
    def test_killed_and_back_with_all_that_was_acknowledged(self) -> None:
        with Mongod() as mongod:
            store = connected(mongo_db_url=f"{mongod.address}/database")
            for employee_id in range(50):
                store.add(someone(employee_id))
            mongod.kill()
            self.fails_in_time(store, "nothing listens at 127.0.0.1:|connection .* was lost")
            mongod.start()
            assert ids(store.read_all()) == list(range(50))
            store.close()


@pytest.mark.mongod
class TestCredentials:
    def test_credentials_are_used_and_never_shown(self) -> None:
        with Mongod() as mongod:
            with mongod.client() as client:
                for user, roles in (("service", ["readWrite"]), ("reader", ["read"])):
                    client["people"].command("createUser", user, pwd=PASSWORD, roles=roles)
            mongod.stop()
            mongod.start(auth=True)

            right = connected(
                mongo_db_url=f"{mongod.address}/people",
                mongo_db_timeout_s=10,  # the hashing of passwords takes a while on busy cores
                mongo_db_username="service",
                mongo_db_password=PASSWORD,
            )
            right.add(someone(1))
            assert right.count() == 1

            for username, password, reason in (
                ("service", "wrong/s3cret", "refused the user name or password"),
                ("nobody", PASSWORD, "refused the user name or password"),
                ("reader", PASSWORD, "does not permit"),
                (None, None, "does not permit"),
            ):
                wrong = connected(
                    mongo_db_url=f"{mongod.address}/people",
                    mongo_db_timeout_s=10,
                    mongo_db_username=username,
                    mongo_db_password=password,
                )
                with pytest.raises(StoreUnavailable, match=reason) as caught:
                    wrong.add(someone(2))
                shown = f"{caught.value!r} {caught.value.__cause__!r} {wrong!r} {vars(wrong)}"
                assert password is None or password not in shown
                wrong.close()
            assert PASSWORD not in f"{right!r} {vars(right)}"
            right.close()

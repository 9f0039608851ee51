"""Employees for the tests of stores."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.storage import Employee, EmployeeStore
from models.catalogue import BoxAlignment, FaceModel
from models.network import NetworkSource

# 32 bytes in base64, as `openssl rand -base64 32` prints them.
VECTOR_KEY = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo="

_DIMENSION = 128  # of the model dlib

Stored = tuple[int, str, str, str, tuple[int, ...], bytes, tuple[bytes, ...]]


def someone(employee_id: int, *, vectors: int = 1, dimension: int = 8, seed: int = 0) -> Employee:
    """An employee who differs from others by id and seed."""
    matrix = np.random.default_rng([employee_id, seed]).normal(size=(vectors, dimension))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return Employee(employee_id, f"name {seed}", "surname", matrix.astype(np.float32), "dlib")


def alike(number: int) -> list[NDArray[np.float64]]:
    """Unit vectors of people who differ so little that strangers get in at α 0.8."""
    drawn = np.random.default_rng(0).standard_normal((number, _DIMENSION))
    drawn *= 0.4 * np.arange(1, _DIMENSION + 1) ** -0.5
    drawn[:, 0] += 1.5
    return [vector / np.linalg.norm(vector) for vector in drawn]


def _no_network() -> NetworkSource:
    raise NotImplementedError


def face_model(name: str = "dlib", dimension: int = 8, distance_scale: float = 1.0) -> FaceModel:
    """Return a model whose vectors are as short as a test likes; its network is not used."""
    return FaceModel(name, 150, dimension, BoxAlignment(0), distance_scale, _no_network)


def fill(path: Path, employees: Iterable[Employee]) -> None:
    """Insert many employees into a store's SQLite file at once, without logging the changes."""
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany(
            "INSERT INTO employees "
            "(employee_id, name, surname, enrolment_id, model, dimension, vectors) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    employee.employee_id,
                    employee.name,
                    employee.surname,
                    employee.enrolment_id,
                    employee.model,
                    employee.vectors.shape[1],
                    employee.vectors.astype("<f4").tobytes(),
                )
                for employee in employees
            ),
        )


def as_stored(employee: Employee) -> Stored:
    """Everything of an employee, comparable bit by bit."""
    vectors = employee.vectors
    assert vectors.dtype == np.float32
    return (
        employee.employee_id,
        employee.name,
        employee.surname,
        employee.model,
        vectors.shape,
        vectors.tobytes(),
        employee.photo_hashes,
    )


def everything(store: EmployeeStore) -> list[Stored]:
    """All that is stored, in the order it is read."""
    return [as_stored(employee) for employee in store.read_all()]


def ids(employees: Iterable[Employee]) -> list[int]:
    """Their ids, in the order they come."""
    return [employee.employee_id for employee in employees]

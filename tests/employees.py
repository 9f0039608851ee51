"""Employees for the tests of stores."""

from collections.abc import Iterable

import numpy as np

from app.storage import Employee, EmployeeStore

Stored = tuple[int, str, str, str, tuple[int, ...], bytes, tuple[bytes, ...]]


def someone(employee_id: int, *, vectors: int = 1, dimension: int = 8, seed: int = 0) -> Employee:
    """An employee who differs from others by id and seed."""
    matrix = np.random.default_rng([employee_id, seed]).normal(size=(vectors, dimension))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return Employee(employee_id, f"name {seed}", "surname", matrix.astype(np.float32), "dlib")


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

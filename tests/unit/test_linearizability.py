"""The checker of histories itself: it accepts what is possible, and nothing else."""

import math
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.linearizability import Operation, is_linearizable


def op(kind: str, began: float, ended: float, answer: int | None, face: str = "a") -> Operation:
    return Operation(kind, face, began, ended, answer)


POSSIBLE = {
    "one after the other": [op("enrol", 0, 1, 200), op("login", 2, 3, 200)],
    "a login during an enrolment may miss it": [op("enrol", 0, 3, 200), op("login", 1, 2, 406)],
    "one of two gets the id": [op("enrol", 0, 2, 409, "b"), op("enrol", 1, 3, 200)],
    "what was not answered may happen": [op("enrol", 0, 1, None), op("login", 9, 10, 200)],
    "what was not answered may not happen": [op("enrol", 0, 1, None), op("login", 9, 10, 406)],
    "what was not answered may happen late": [
        op("enrol", 0, 1, None),
        op("login", 2, 3, 406),
        op("login", 4, 5, 200),
    ],
    "a sample that is added and removed": [
        op("enrol", 0, 1, 200),
        op("remove", 2, 3, 409),
        op("add", 4, 5, 201, "b"),
        op("login", 6, 7, 200),
        op("remove", 8, 9, 204),
        op("login", 10, 11, 406),
        op("login", 12, 13, 200, "b"),
    ],
    "a member is found in the group, and stays one when replaced": [
        op("enrol", 0, 1, 200),
        op("login_in_group", 2, 3, 406),
        op("join", 4, 5, 200),
        op("replace", 6, 7, 200),
        op("login_in_group", 8, 9, 200),
        op("leave", 10, 11, 200),
        op("login_in_group", 12, 13, 406),
    ],
    "who is put is enrolled, or replaced with all that was stored": [
        op("put", 0, 1, 201),
        op("join", 2, 3, 200),
        op("put", 4, 5, 200, "b"),
        op("login_in_group", 6, 7, 406, "b"),
        op("login", 8, 9, 200, "b"),
        op("login", 10, 11, 406),
    ],
    "a removal and a replacement in either order": [
        op("enrol", 0, 1, 200),
        op("replace", 2, 4, 404, "b"),
        op("delete", 2, 4, 200),
    ],
}
IMPOSSIBLE = {
    "an enrolment that is not found": [op("enrol", 0, 1, 200), op("login", 2, 3, 406)],
    "a deleted face that is found": [
        op("enrol", 0, 1, 200),
        op("delete", 2, 3, 200),
        op("login", 4, 5, 200),
    ],
    "a sample is lost when the group changes": [
        op("enrol", 0, 1, 200),
        op("add", 2, 4, 201, "b"),
        op("join", 3, 5, 200),
        op("login", 6, 7, 406, "b"),
    ],
    "a group is lost when a sample is added": [
        op("enrol", 0, 1, 200),
        op("join", 2, 4, 200),
        op("add", 3, 5, 201, "b"),
        op("login_in_group", 6, 7, 406, "b"),
    ],
    "a group is lost when somebody is replaced who was enrolled meanwhile": [
        op("replace", 0, 9, 200, "b"),
        op("enrol", 1, 2, 200),
        op("join", 3, 4, 200),
        op("login_in_group", 10, 11, 406, "b"),
    ],
    "two are put as the first": [op("put", 0, 2, 201), op("put", 1, 3, 201, "b")],
    "two get one id": [op("enrol", 0, 2, 200, "b"), op("enrol", 1, 3, 200)],
    "seen, and then not": [
        op("enrol", 0, 9, None),
        op("login", 1, 2, 200),
        op("login", 3, 4, 406),
    ],
    "applied twice": [
        op("enrol", 0, 1, None),
        op("login", 2, 3, 200),
        op("delete", 4, 5, 200),
        op("login", 6, 7, 200),
    ],
    "a replaced face that is found": [
        op("enrol", 0, 1, 200),
        op("replace", 2, 3, 200, "b"),
        op("login", 4, 5, 200, "a"),
    ],
}


@pytest.mark.parametrize("history", POSSIBLE.values(), ids=POSSIBLE)
def test_what_is_possible_is_accepted(history: list[Operation]) -> None:
    assert is_linearizable(history)


@pytest.mark.parametrize("history", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_is_impossible_is_refused(history: list[Operation]) -> None:
    assert not is_linearizable(history)


operations = st.builds(
    lambda kind, face, began, length, answer: Operation(kind, face, began, began + length, answer),
    st.sampled_from(
        [
            *("enrol", "put", "replace", "delete", "login"),
            *("add", "remove", "join", "leave", "login_in_group"),
        ]
    ),
    st.sampled_from("ab"),
    st.integers(0, 8),
    st.integers(1, 4),
    st.sampled_from([200, 200, 201, 204, 404, 406, 409, None]),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(operations, max_size=5))
def test_it_agrees_with_trying_every_order(history: list[Operation]) -> None:
    assert is_linearizable(history) == any_order_explains(history)


def any_order_explains(history: list[Operation]) -> bool:
    answered = [operation for operation in history if operation.answer is not None]
    unanswered = [operation for operation in history if operation.answer is None]
    for number in range(len(unanswered) + 1):
        for some in permutations(unanswered, number):
            for order in permutations([*answered, *some]):
                if in_time(order) and explains(order):
                    return True
    return False


def in_time(order: tuple[Operation, ...]) -> bool:
    """Return whether no operation is placed before one that had ended when it began."""
    ends = [math.inf if o.answer is None else o.ended for o in order]
    return all(
        order[i].began <= ends[j] for i in range(len(order)) for j in range(i + 1, len(order))
    )


def explains(order: tuple[Operation, ...]) -> bool:
    state = None
    for operation in order:
        answer, state = operation.on(state)
        if operation.answer not in (None, answer):
            return False
    return True

"""Check whether answers are possible if each operation takes effect at a single moment.

Wing & Gong's search with Lowe's memory of what was tried already (Wing & Gong 1993, Lowe 2017),
for one employee at a time: linearizability is local, and every face here is one employee's own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What is stored of an employee. faces: the samples. is_member: whether in the group."""

    faces: frozenset[str]
    is_member: bool = False


State = Enrolled | None
"""None if nobody is enrolled."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What one client asked about one employee, and was answered.

    kind: enrol, replace, delete, or log in with `face`; put it in place of all that is stored; add
    or remove it as a sample; join or leave the group; log in within the group. began, ended: in
    seconds of one clock; the operation may happen at any moment between them. answer: the status;
    None if there was none or its outcome is unknown, so that a write may still happen at any later
    time, or never.
    """

    kind: str
    face: str
    began: float
    ended: float
    answer: int | None

    def on(self, state: State) -> tuple[int, State]:
        """Return a correct service's answer in that state, and the state afterwards."""
        face = frozenset([self.face])
        match self.kind, state:
            case "enrol", None:
                return 200, Enrolled(face)
            case "enrol", _:
                return 409, state
            case "put", _:
                return (200 if state else 201), Enrolled(face)
            case "login", _:
                return (200 if state and face <= state.faces else 406), state
            case "login_in_group", _:
                is_found = state and state.is_member and face <= state.faces
                return (200 if is_found else 406), state
            case "delete", _:
                return 200, None
            case _, None:
                return 404, None
            case "replace", Enrolled():
                return 200, replace(state, faces=face)
            case "add", Enrolled():
                return 201, replace(state, faces=state.faces | face)
            case "remove", Enrolled() if not face <= state.faces:
                return 404, state
            case "remove", Enrolled() if face == state.faces:
                return 409, state
            case "remove", Enrolled():
                return 204, replace(state, faces=state.faces - face)
            case "join" | "leave", Enrolled():
                return 200, replace(state, is_member=self.kind == "join")
        raise ValueError(self.kind)


def is_linearizable(history: Sequence[Operation], state: State = None) -> bool:
    """Whether there is an order of the operations that explains every answer."""
    operations = sorted(history, key=lambda operation: operation.began)
    ends = [math.inf if o.answer is None else o.ended for o in operations]
    answered = sum(1 << i for i, o in enumerate(operations) if o.answer is not None)
    tried: set[tuple[int, State]] = set()
    paths = [(0, state)]
    while paths:
        path = paths.pop()
        if path in tried:
            continue
        tried.add(path)
        done, state = path
        if done & answered == answered:
            return True
        paths += _steps(operations, ends, done, state)
    return False


def _steps(
    operations: Sequence[Operation], ends: Sequence[float], done: int, state: State
) -> list[tuple[int, State]]:
    """Where one more operation leads; the likeliest one last."""
    open_ = [i for i in range(len(operations)) if not done >> i & 1]
    first_end = min(ends[i] for i in open_)
    steps: list[tuple[int, State]] = []
    # those without an answer first, because they are tried last
    for i in sorted(open_, key=lambda i: -ends[i]):
        operation = operations[i]
        if operation.began > first_end:
            continue
        answer, after = operation.on(state)
        if answer == operation.answer or (operation.answer is None and after != state):
            steps.append((done | 1 << i, after))
    return steps

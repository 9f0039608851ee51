"""Liveness sessions: a login must show moves that were drawn by lot after it began.

So its frames cannot have been filmed before. A session is open for one login and a short time.
"""

import secrets
import time

from app.recognition.challenge import CHALLENGES
from app.storage import EmployeeStore, LivenessSession

LASTS_S = 120.0
"""How long a session is open: time to read what to do, and to film and send it."""
MOST_OPEN = 10_000
"""Number of sessions of one API key that may be open at once, for all workers and pods together."""
_ID_BYTES = 16


class SessionGone(Exception):
    """No such session is open: it never was, was used, has expired, or is another caller's."""


def open_session(store: EmployeeStore, owner: str = "") -> LivenessSession:
    """Open a session with a random challenge. Raises TooManySessions, StoreUnavailable.

    owner: id of the caller's API key; "" without keys. Nobody else can use the session.
    """
    now = time.time()
    session = LivenessSession(
        secrets.token_hex(_ID_BYTES), secrets.choice(list(CHALLENGES)), owner, now + LASTS_S
    )
    store.open_session(session, now, MOST_OPEN)
    return session


def take_session(store: EmployeeStore, session_id: str, owner: str = "") -> str:
    """Use a session up, and return its challenge. Raises SessionGone, StoreUnavailable.

    Of several logins with one session, one succeeds, over all workers and pods.
    """
    session = store.take_session(session_id, owner, time.time())
    # A release beside this one may know other challenges.
    if session is None or session.challenge not in CHALLENGES:
        raise SessionGone("the liveness session is used or has expired, open a new one")
    return session.challenge

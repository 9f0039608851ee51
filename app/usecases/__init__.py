"""What people ask the service for, without HTTP."""


class LoginFailed(Exception):
    """The pictures were reason to refuse a login; it counts as a failed attempt."""

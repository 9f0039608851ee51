"""What people ask the service for, without HTTP."""


class LoginFailed(Exception):
    """A login was refused because of its pictures; it counts as a failed attempt."""

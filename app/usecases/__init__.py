"""What people ask the service for, without HTTP."""


class LoginFailed(Exception):
    """A login was refused for what its pictures show; it counts as a failed attempt."""

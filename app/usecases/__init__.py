"""What the service does, without HTTP."""


class LoginFailed(Exception):
    """A login was refused for what its pictures show: it counts against whoever tries."""

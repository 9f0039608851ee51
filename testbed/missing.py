"""Programs that a machine may lack."""


class Missing(RuntimeError):
    """A program is not installed; the message says how to install it.

    Tests that need it are skipped; in CI (variable CI is set) they fail.
    """

"""Programs for developers: what the Makefile runs besides the service."""

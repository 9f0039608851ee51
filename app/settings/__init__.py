"""The service's settings: environment variables, typed and checked at start."""

from app.settings.fields import SECURITY
from app.settings.loading import SettingsError, doubtful, load_settings
from app.settings.rules import Settings

__all__ = ["SECURITY", "Settings", "SettingsError", "doubtful", "load_settings"]

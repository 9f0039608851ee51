"""Commands for operators: `flask --app entry …`."""

from flask import Flask

from app.commands.api_keys import keys
from app.commands.audit import audit
from app.commands.backup import backup, restore_command
from app.commands.collect import collect
from app.commands.employees import employees
from app.commands.enrol import enrol
from app.commands.evaluate import calibrate, evaluate
from app.commands.gallery import gallery
from app.commands.models import models
from app.commands.transfer import export_command, import_command
from app.commands.vectors import vectors


def create_command_app() -> Flask:
    """Return an app that has these commands and no endpoints."""
    app = Flask(__name__, static_folder=None)
    storing = (vectors, gallery, employees, backup, restore_command)
    bulk = (collect, enrol, export_command, import_command)
    for command in (keys, audit, models, *storing, *bulk, evaluate, calibrate):
        app.cli.add_command(command)
    return app

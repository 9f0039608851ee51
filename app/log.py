"""Set up logging, as text for people or JSON for machines, for the service and its libraries."""

import logging
import sys
import warnings
from typing import TextIO

import structlog

# Loggers of the service. Libraries log no debug lines: those would hold the libraries' arguments,
# and pymongo's arguments are people's data.
_OWN = ("app", "models", "entry", "__main__")


def configure(level: str, log_format: str, stream: TextIO | None = None) -> None:
    """Send everything at `level` or above to the stream, as `text` or `json`.

    stream: by default, standard output.
    """
    json = log_format == "json"
    stream = stream or sys.stdout
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if json else structlog.stdlib.add_logger_name,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            # The default formatter shows local variables, which may hold photos.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(threshold, logging.INFO), handlers=[handler], force=True)
    for name in _OWN:
        logging.getLogger(name).setLevel(threshold)
    # Pillow warns about unusual pictures; clients are told what matters.
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
    )

# SPDX-License-Identifier: GPL-2.0-or-later
"""Structured logs: one line per event on standard error, as JSON or as text, without secrets, numbers masked.

Log with `structlog.get_logger("name")`; what libraries log by the standard library goes the same way.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog

from gateway.log.mask import clean
from gateway.log.patient import PatientHandler

Fields = MutableMapping[str, Any]
_QUOTED = frozenset(' "=\t\r\n')
"""What has a value of a text line stand in quotes."""

# Syslog's priorities, as systemd reads them from the start of a line (sd-daemon(3)).
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}


def configure(
    *,
    format: Literal["json", "text"] = "text",  # noqa: A002 -- the configuration's own word
    level: str = "info",
    log_numbers: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Set up logging for the whole process; may be called again. `stream` None: standard error.

    Under systemd each line starts with its priority, and text lines leave the time to the journal.
    """
    stream = stream or sys.stderr
    journal = goes_to_journal(stream, os.environ)
    number = logging.getLevelNamesMapping()[level.upper()]

    def cleaned(_logger: object, _method: str, fields: Fields) -> Fields:
        return clean(fields, numbers=log_numbers)

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        cleaned,
    ]
    if not (journal and format == "text"):
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    render = _render_json if format == "json" else _render_text
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _with_priority(render) if journal else render,
        ],
    )
    handler = PatientHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Loggers are made when modules are imported, long before this is called, and outlive a reload.
        cache_logger_on_first_use=False,
    )


def unraisable(error: "sys.UnraisableHookArgs") -> None:
    """A sys.unraisablehook: what went wrong where nobody could be told, as in a callback of the SIP stack."""
    trace = (error.exc_type, error.exc_value or error.exc_type(), error.exc_traceback)
    structlog.get_logger("gateway").error("callback-failed", where=str(error.object or ""), exc_info=trace)


def goes_to_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is the journal's own (systemd.exec(5), $JOURNAL_STREAM), not a terminal or a file."""
    try:
        device, inode = map(int, environ["JOURNAL_STREAM"].split(":"))
        found = os.fstat(stream.fileno())
    except (KeyError, ValueError, OSError):
        return False
    return (found.st_dev, found.st_ino) == (device, inode)


def _render_json(_logger: object, _method: str, fields: Fields) -> str:
    head = {name: fields.pop(name) for name in ("timestamp", "level", "logger", "event") if name in fields}
    return json.dumps(head | dict(fields), ensure_ascii=False, default=str)


def _render_text(_logger: object, _method: str, fields: Fields) -> str:
    words = [fields.pop("timestamp", ""), fields.pop("level", "").ljust(7), f"{fields.pop('logger', '')}:"]
    trace = fields.pop("exception", None)
    words.append(_one_line(str(fields.pop("event", ""))))
    words += [f"{name}={_text_value(value)}" for name, value in fields.items() if value is not None]
    if trace:
        words.append(f"exception={_text_value(trace)}")
    return " ".join(word for word in words if word)


def _text_value(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value if value and _QUOTED.isdisjoint(value) else json.dumps(value, ensure_ascii=False)


def _one_line(text: str) -> str:
    # What came over the wire must not be able to forge a line of its own.
    return json.dumps(text, ensure_ascii=False)[1:-1] if any(character < " " for character in text) else text


def _with_priority(render: structlog.typing.Processor) -> structlog.typing.Processor:
    def prefixed(logger: object, method: str, fields: Fields) -> str:
        priority = _PRIORITIES.get(fields.get("level", ""), 6)
        return f"<{priority}>{render(logger, method, fields)!s}"

    return prefixed

# SPDX-License-Identifier: GPL-2.0-or-later
"""Each event is one line, of the same kind whoever logged it."""

import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import structlog

from gateway import log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_hold_what_was_logged_with_numbers_masked() -> None:
    stream = io.StringIO()
    log.configure(format="json", stream=stream)
    structlog.get_logger("engine").info("transfer ended", transfer="01J8ZQ7T9K3M5N7P9R1S3T5V7X", caller="+31612345678")
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "engine",
        "event": "transfer ended",
        "transfer": "01J8ZQ7T9K3M5N7P9R1S3T5V7X",
        "caller": "+***678",
    }


def test_numbers_are_shown_when_the_operator_wants_them() -> None:
    stream = io.StringIO()
    log.configure(format="json", log_numbers=True, stream=stream)
    structlog.get_logger("engine").info("call", caller="+31612345678", password="hunter2")
    assert lines(stream)[0]["caller"] == "+31612345678"
    assert "hunter2" not in stream.getvalue()


def test_libraries_and_warnings_speak_the_same_way() -> None:
    stream = io.StringIO()
    log.configure(format="json", stream=stream)
    logging.getLogger("mqtt").warning("odd packet from %s", "0612345678", extra={"topic": "t"})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", stacklevel=1)
    library, warning = lines(stream)
    assert (library["event"], library["logger"], library["topic"]) == ("odd packet from ***678", "mqtt", "t")
    assert "old thing" in warning["event"]


def test_the_level_holds_for_all_and_can_be_changed() -> None:
    stream = io.StringIO()
    logger = structlog.get_logger("engine")
    log.configure(format="json", level="warning", stream=stream)
    logger.info("quiet")
    logging.getLogger("library").info("quiet")
    log.configure(format="json", level="debug", stream=stream)
    logger.debug("heard")
    assert [line["event"] for line in lines(stream)] == ["heard"]


def test_a_transfers_id_can_be_bound_for_all_its_lines() -> None:
    stream = io.StringIO()
    log.configure(format="json", stream=stream)
    with structlog.contextvars.bound_contextvars(transfer="01J8"):
        structlog.get_logger("sip").info("dialling")
    assert lines(stream)[0]["transfer"] == "01J8"


@pytest.mark.parametrize("kind", ["json", "text"])
def test_an_event_is_one_line_whatever_is_in_it(kind: Any) -> None:
    stream = io.StringIO()
    log.configure(format=kind, stream=stream)
    logger = structlog.get_logger("sip")
    try:
        int("bad\nnumber of +31612345678")
    except ValueError:
        logger.exception("forged\r\n2026-01-01T00:00:00Z error sip: all is lost", header='a\n"b"', empty="")
    assert len(stream.getvalue().splitlines()) == 1
    assert "ValueError" in stream.getvalue()
    assert "612345678" not in stream.getvalue()


def test_text_lines_are_for_people() -> None:
    stream = io.StringIO()
    log.configure(format="text", stream=stream)
    structlog.get_logger("report").info(
        "transfer ended", outcome="completed", trail=["a b"], fault=None, note="two words"
    )
    head, _, rest = stream.getvalue().rstrip("\n").partition(" ")
    assert head.endswith("Z")
    assert rest == 'info    report: transfer ended outcome=completed trail=["a b"] note="two words"'


def test_the_journal_gets_priorities_and_keeps_the_time_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w+") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        log.configure(format="text", stream=journal)
        structlog.get_logger("app").error("broken")
        log.configure(format="json", stream=journal)
        structlog.get_logger("app").info("fine")
        journal.seek(0)
        text, line = journal.read().splitlines()
    assert text == "<3>error   app: broken"
    assert line.startswith('<6>{"timestamp":')


@pytest.mark.parametrize("value", [None, "", "rubbish", "1:2", "1"])
def test_what_is_not_the_journal_is_not_taken_for_it(tmp_path: Path, value: str | None) -> None:
    with (tmp_path / "file").open("w") as file:
        assert not log.goes_to_journal(file, {} if value is None else {"JOURNAL_STREAM": value})
    assert not log.goes_to_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})


class Left:
    """An error that nobody could be told, as sys.unraisablehook gets it."""

    exc_type: type[BaseException] = ValueError
    exc_value: BaseException | None = ValueError("in a callback")
    exc_traceback: TracebackType | None = None
    err_msg: str | None = None
    object: Any = "a callback of the binding"


@pytest.mark.keeps("16.12")
def test_what_nobody_could_be_told_is_a_line_in_the_log() -> None:
    stream = io.StringIO()
    log.configure(format="json", stream=stream)
    log.unraisable(Left())
    [line] = lines(stream)
    assert (line["level"], line["event"], line["where"]) == ("error", "callback-failed", "a callback of the binding")
    assert "ValueError: in a callback" in line["exception"]


class Shy:
    """Has no words for itself."""

    def __str__(self) -> str:
        raise LookupError("no words")

    __repr__ = __str__


def without_end() -> list[object]:
    made: list[object] = []
    made.append(made)
    return made


@pytest.mark.keeps("16.161")
@pytest.mark.parametrize("kind", ["json", "text"])
@pytest.mark.parametrize(("value", "why"), [(Shy(), "LookupError"), (without_end(), "RecursionError")])
def test_a_value_that_cannot_be_shown_fails_nobody(kind: Any, value: object, why: str) -> None:
    stream = io.StringIO()
    log.configure(format=kind, stream=stream)
    structlog.get_logger("engine").info("transfer-ended", odd=value, transfer="01J8ZQ7T9K3M5N7P9R1S3T5V7X")
    assert f"[not shown: {why}]" in stream.getvalue()
    assert "01J8ZQ7T9K3M5N7P9R1S3T5V7X" in stream.getvalue()

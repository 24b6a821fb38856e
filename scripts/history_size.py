# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m scripts.history_size [TRANSFERS] [DIRECTORY]`: how large the history becomes, and how long a page takes.

Makes a million transfers (or as many as are named) of ninety days, each with five events, a trail and Call-IDs of the
length that they have. One in forty goes through the code that the gateway stores them with; the others are copies of
those rows further on in time, with ids and callers of their own, and their words in the index. Then it asks for pages
of 50, each question a hundred times at different places. Takes some minutes of CPU and a gigabyte.
"""

from __future__ import annotations

import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ulid import ULID

from gateway.core.json_form import timestamp, transfer_document
from gateway.core.model import Entry, FinalNotify, TransferId
from gateway.core.outcome import Reason
from gateway.core.record import Attempt, Milestone, TransferRecord
from gateway.ports.history import HistoryQuery
from gateway.report.cursors import StoredEvent
from gateway.report.history.index import kind_words, text_of
from gateway.report.history.keys import first_key
from gateway.report.history.questions import HistoryReader
from gateway.report.history.retention import Keep
from gateway.report.history.rows import TRANSFER
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import FILE_NAME

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 90
COPIES = 40
AT_ONCE = 2000
ASKED = 100
REASONS = (
    *(Reason.ANSWERED,) * 70,
    *(Reason.QUEUE_UNSTAFFED, Reason.AGENTS_BUSY, Reason.OUTSIDE_HOURS, Reason.NO_ANSWER, Reason.CALLER_HUNG_UP) * 5,
    *(Reason.UNKNOWN_DESTINATION,) * 3,
    *(Reason.BUSY,) * 2,
)
CALLERS = 200_000
BUSIEST = "+31201234567"  # one in a hundred transfers is theirs; a mask has as many


def record(n: int, count: int, chance: random.Random) -> TransferRecord:
    """Transfer n of so many."""
    begun = BEGIN + timedelta(seconds=DAYS / COPIES * 86_400 * n / count)
    # One that hardly ever occurs: what is rare must be found as quickly.
    reason = Reason.GATEWAY_ERROR if n == 1 else chance.choice(REASONS)
    destination = f"department-{chance.randrange(12)}"
    answered = begun + timedelta(seconds=chance.uniform(1, 30)) if reason is Reason.ANSWERED else None
    return TransferRecord(
        transfer=TransferId(str(ULID.from_datetime(begun))),
        number=f"line-{chance.randrange(3)}",
        trunk="platform",
        pbx="asterisk",
        entry=chance.choice(tuple(Entry)),
        requested_target=f"+3120123{chance.randrange(12):04}",
        destination=destination,
        outcome=reason.outcome,
        reason=reason,
        sip_code=reason.sip_code,
        attempts=(Attempt(destination, f"65{chance.randrange(100):02}", reason, reason.sip_code),),
        caller=f"+316{chance.randrange(CALLERS):08}",
        context={"User-to-User": f"{chance.getrandbits(128):032x};encoding=hex"},
        final_notify=FinalNotify.ON_ANSWER,
        requested_at=begun,
        decided_at=begun + timedelta(milliseconds=1),
        ringing_at=begun + timedelta(milliseconds=chance.randrange(100, 900)),
        answered_at=answered,
        human_at=answered and answered + timedelta(seconds=chance.uniform(0, 20)),
        ended_at=(answered or begun) + timedelta(seconds=chance.uniform(0, 20)),
        trail=(
            f"target: +3120123{chance.randrange(12):04} is {destination}",
            f"hours: office is open until {chance.choice(('17:30', '21:00'))}",
            f"queue {destination}: {chance.randrange(9)} of 12 agents free, {chance.randrange(9)} waiting",
            f"capacity: {chance.randrange(400)} of 500 calls",
            *(("surprise: zebra",) if n == 2 else ()),
            *(("caller: goes back",) if answered is None else ()),
        ),
        call_ids={role: f"{chance.getrandbits(96):024x}@10.0.0.{chance.randrange(9)}" for role in ROLES},
    )


ROLES = ("transferor", "transferee", "target")


def events(count: int) -> Iterator[StoredEvent]:
    """All of them, as the journal has them. Of those before the last the history reads what is here."""
    chance = random.Random(7)  # noqa: S311 -- no key
    for n in range(count):
        made = record(n, count, chance)
        document = transfer_document(made)
        for milestone in Milestone:
            ends = milestone is Milestone.ENDED
            event = {
                "type": f"transfer.{milestone}.v1",
                "time": timestamp(made.requested_at + timedelta(milliseconds=chance.randrange(9000))),
                "data": document if ends else {"transfer": made.transfer},
            }
            yield StoredEvent(0, str(ULID.from_datetime(made.requested_at)), "", json.dumps(event))


def fill(directory: Path, count: int) -> float:
    """Store them; how many seconds that took of the store itself."""
    store = HistoryStore(directory)
    store.open()
    spent = 0.0
    batch: list[StoredEvent] = []
    for event in events(count):
        batch.append(event)
        if len(batch) == AT_ONCE:
            spent += _stored(store, batch)
            batch = []
    spent += _stored(store, batch)
    store.close()
    return spent


def _stored(store: HistoryStore, batch: list[StoredEvent]) -> float:
    begun = time.perf_counter()
    refused = store.apply(batch, Keep())
    if refused:
        raise SystemExit(f"refused: {refused[0]}")
    return time.perf_counter() - begun


def copy(directory: Path) -> None:
    """Put the copies behind what is there, each further on in time."""
    with closing(sqlite3.connect(directory / FILE_NAME, isolation_level=None)) as db:
        entries = [
            (at, text_of(kept), kind_words(*kind)) for at, kept, *kind in db.execute(
                "SELECT at, record, kinds.id, number, destination, outcome, reason"
                " FROM transfers JOIN kinds ON kinds.id = kind ORDER BY at"
            )
        ]  # fmt: skip
        columns = "kind, decided_ms, ringing_ms, answered_ms, human_ms, ended_ms, returned, record"
        last = entries[-1][0]
        for number in range(1, COPIES):
            shift = first_key(BEGIN + timedelta(days=DAYS / COPIES * number)) - first_key(BEGIN)
            db.execute("BEGIN")
            # An id in the order of time, as a ULID is: what stands for its time, and what is random.
            db.execute(
                f"INSERT INTO transfers (at, id, caller, {columns}) SELECT at + :shift,"  # noqa: S608 -- ours
                " CAST(printf('%06d', (at + :shift) >> 40) || substr(hex(randomblob(5)), 1, 10) AS BLOB),"
                " iif(random() % 100, printf('+316%08d', abs(random()) % :callers), :busiest),"
                f" {columns} FROM transfers WHERE at <= :last",
                {"shift": shift, "callers": CALLERS, "last": last, "busiest": BUSIEST},
            )
            db.executemany(
                "INSERT INTO trails (rowid, trail, kind) VALUES (?, ?, ?)",
                ((at + shift, *words) for at, *words in entries),
            )
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def questions(chance: random.Random) -> Iterator[tuple[str, dict[str, object]]]:
    """What is asked, each time another."""
    somewhere = BEGIN + timedelta(days=chance.uniform(0, DAYS))
    caller = f"+316{chance.randrange(CALLERS):08}"
    yield "the newest", {}
    yield "somewhere in the middle", {"before": first_key(somewhere)}
    yield "one number", {"number": "line-1", "before": first_key(somewhere)}
    yield "one destination, outcome and reason", {
        "destination": f"department-{chance.randrange(12)}", "outcome": "refused", "reason": "agents-busy",
        "before": first_key(somewhere),
    }  # fmt: skip
    yield "a reason that 40 have", {"reason": "gateway-error"}
    yield "one caller (5 transfers)", {"caller": caller}
    yield "a day", {"since": somewhere, "until": somewhere + timedelta(days=1)}
    yield "a word that all have", {"text": "agents", "before": first_key(somewhere)}
    yield "a word that 40 have", {"text": "zebra"}
    yield "a phrase and a reason", {"text": '"0 waiting"', "reason": "busy"}
    yield "a word that all have, a reason that 40 have", {"text": "capacity", "reason": "gateway-error"}
    yield "a phrase, a destination and a reason", {
        "text": '"3 of 12 agents free"', "destination": f"department-{chance.randrange(12)}", "reason": "no-answer",
    }  # fmt: skip
    yield "words and an outcome that nothing has both of", {"text": '"goes back"', "outcome": "completed"}
    yield "two words of which few have both", {"text": f"department-{chance.randrange(6)} department-11"}
    yield "a caller and a word that all have", {"text": "capacity", "caller": caller}
    yield "a caller of one in a hundred", {"caller": BUSIEST}
    yield "... and a reason that 40 have", {"caller": BUSIEST, "reason": "gateway-error"}
    yield "... and a word that 40 have", {"caller": BUSIEST, "text": "zebra"}
    yield "... a reason and a phrase", {"caller": BUSIEST, "reason": "busy", "text": '"0 waiting"'}


def main(count: int, directory: Path) -> None:
    """Fill, weigh and ask."""
    sample = max(count // COPIES, 3)
    spent = fill(directory, sample)
    copy(directory)
    count = sample * COPIES
    size = sum(file.stat().st_size for file in directory.glob(f"{FILE_NAME}*"))
    print(f"{count} transfers: {size / 1e6:.0f} MB, {size / count:.0f} bytes each")
    print(f"{1000 * spent / sample:.2f} ms to store one, with its five events")
    ask(directory)


def ask(directory: Path) -> None:
    """Ask for pages, and print how long they took."""
    reader = HistoryReader(directory)
    times: dict[str, list[float]] = {}
    of_cpu: dict[str, list[float]] = {}
    rows: dict[str, int] = {}
    chance = random.Random(11)  # noqa: S311
    for _ in range(ASKED):
        for name, filters in questions(chance):
            begun, spent_before = time.perf_counter(), time.thread_time()
            rows[name] = len(reader.find(TRANSFER, HistoryQuery(limit=50, **filters)))  # type: ignore[arg-type]
            times.setdefault(name, []).append(1000 * (time.perf_counter() - begun))
            of_cpu.setdefault(name, []).append(1000 * (time.thread_time() - spent_before))
    print(f"{'a page of 50, in ms':44} {'median':>7} {'95 %':>7} {'worst':>7} {'of CPU':>7}  rows")
    for name, found in times.items():
        part, cpu = statistics.quantiles(found, n=20)[18], statistics.median(of_cpu[name])
        print(f"{name:44} {statistics.median(found):7.1f} {part:7.1f} {max(found):7.1f} {cpu:7.1f}  {rows[name]}")


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    if len(sys.argv) > 2:
        main(wanted, Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(wanted, Path(made))

# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of SIP messages: what is put comes back, and goes by age, by size and with its caller."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from gateway.call_messages import in_masks
from gateway.report.message_store import AT_ONCE, Bounds, Kept, MessageStore, packed, stored, unpacked
from tests.bench import BEGIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

BOUNDS = Bounds(days=10, failures_days=20, max_bytes=10_000_000)
EVE, ADAM = "+31612345678", "+31687654321"


def document(text: str, *, masked: bool = False) -> dict[str, Any]:
    return {
        "transfer": "01T", "masked": masked, "marks": [{"text": "is asked for"}],
        "messages": [{"text": f"INVITE sip:x SIP/2.0\r\nFrom: <sip:{text}@pbx>;tag=1\r\n\r\n", "again": False}],
    }  # fmt: skip


def kept(
    transfer: str, caller: str = EVE, *, days: float = 0, completed: bool = True, masked: bool = False, more: str = ""
) -> Kept:
    said = document("…" if masked else caller, masked=masked)
    said["more"] = more
    return Kept(transfer, BEGIN - timedelta(days=days), completed, caller, said)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MessageStore]:
    made = MessageStore(tmp_path)
    yield made
    made.close()


def bytes_of(directory: Path) -> bytes:
    return b"".join(each.read_bytes() for each in directory.glob("messages.db*"))


@pytest.mark.keeps("23.44")
def test_what_was_put_last_is_there_also_for_another_process(store: MessageStore, tmp_path: Path) -> None:
    assert stored(tmp_path, "01A") is None
    store.put(kept("01A", ADAM), BOUNDS)
    rows, size = store.put(kept("01A"), BOUNDS)
    assert (rows, size > 0) == (1, True)
    assert store.get("01A") == stored(tmp_path, "01A") == kept("01A").document
    assert store.get("01B") is None
    store.close()
    assert store.get("01A") == kept("01A").document
    assert (tmp_path / "messages.db").stat().st_mode & 0o077 == 0


@pytest.mark.keeps("23.45")
def test_what_is_too_old_goes_failures_later_than_the_rest(store: MessageStore) -> None:
    for name, days, completed in (("01A", 11, True), ("01B", 11, False), ("01C", 21, False), ("01D", 9, True)):
        store.put(kept(name, days=days, completed=completed), BOUNDS)
    assert store.expire(BOUNDS, BEGIN)[0] == 2
    assert [name for name in ("01A", "01B", "01C", "01D") if store.get(name)] == ["01B", "01D"]


@pytest.mark.keeps("23.45")
def test_beyond_the_size_the_oldest_go(store: MessageStore) -> None:
    bounds = Bounds(10, 20, 300_000)
    for number in range(200):
        noise = Random(number).randbytes(4_000).hex()
        rows, size = store.put(kept(f"{number:03}", days=1 - number / 1000, more=noise), bounds)
        assert size <= bounds.max_bytes
    assert 1 < rows < 200
    assert store.get("199") is not None
    assert store.get("000") is None


@pytest.mark.keeps("23.45")
def test_a_forgotten_caller_is_in_no_byte_of_the_file(store: MessageStore, tmp_path: Path) -> None:
    store.put(kept("01A"), BOUNDS)
    store.put(kept("01B", ADAM), BOUNDS)
    other = kept("01C", ADAM)
    other.document["marks"] = [{"text": f"{EVE} is asked for"}]
    store.put(other, BOUNDS)
    store.put(kept("01D", masked=True), BOUNDS)
    assert store.forget(EVE, [EVE[3:]]) == 3
    assert [name for name in ("01A", "01B", "01C", "01D") if store.get(name)] == ["01B"]
    assert packed(kept("01A").document) not in bytes_of(tmp_path)  # nor in the log that is written ahead
    assert store.forget(EVE, [EVE[3:]]) == 0


@pytest.mark.keeps("23.45")
@pytest.mark.parametrize("rows", [3, AT_ONCE, AT_ONCE + 2])
def test_what_was_stored_in_full_is_masked(store: MessageStore, tmp_path: Path, rows: int) -> None:
    for number in range(rows):
        store.put(kept(f"{number}"), BOUNDS)
    while store.mask(in_masks):
        pass
    read = store.get("0")
    assert read is not None
    assert read["masked"] is True
    assert EVE[3:] not in str(read)
    assert packed(kept("0").document) not in bytes_of(tmp_path)


def test_what_cannot_be_read_is_nothing(store: MessageStore, tmp_path: Path) -> None:
    assert (unpacked(b"x"), unpacked(packed({"a": 1}))) == ({}, {"a": 1})
    (tmp_path / "messages.db").write_bytes(b"no database" * 1000)
    assert stored(tmp_path, "01A") is None
    store.put(kept("01A"), BOUNDS)  # the broken one is put aside
    assert store.get("01A") is not None
    assert list(tmp_path.glob("messages.db.broken-*"))
    store.remove()
    assert not (tmp_path / "messages.db").exists()

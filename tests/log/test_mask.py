# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers and secrets are not in the log; everything else is, whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.log import mask
from gateway.log.mask import clean, mask_text, redact_text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("caller +31612345678 asked", "caller +***678 asked"),
        ("0612345678", "***678"),
        ("0031612345678", "***678"),
        ("020-1234567", "***567"),
        ("+31 (0)20 123 45 67 called", "+***567 called"),
        ("sip:+31612345678@example.com:5060;user=phone", "sip:+***678@example.com:5060;user=phone"),
        ("<sips:65001@10.0.0.1:50600>", "<sips:***001@10.0.0.1:50600>"),
        ("tel:+31-20-123-4567;phone-context=x", "tel:+***567;phone-context=x"),
        ("Refer-To: <sip:%2B31612345678@host>", "Refer-To: <sip:%2B***678@host>"),
        ("PJSIP/31612345678-0000001a", "PJSIP/***678-0000001a"),
        ("Local/0612345678@ctx-00000001;1", "Local/***678@ctx-00000001;1"),
        ('{"caller":"+31612345678"}', '{"caller":"+***678"}'),
        ("from 0612345678 to +31201234567", "from ***678 to +***567"),
        ("caller:0612345678", "caller:***678"),
    ],
)
def test_a_phone_number_shows_its_last_three_digits_only(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "01J8ZQ7T9K3M5N7P9R1S3T5V7X",
        "550e8400-e29b-41d4-a716-446655440000",
        "a84b4c76e66710@pc33.example.com",
        "3848276298220188511@host",
        "2026-11-22T14:33:00.123456Z",
        "2026-11-22 14:33:00,123456",
        "2026-11-22",
        "1732285000.123",
        "127.0.0.2:50600",
        "[2001:db8::1]:50600",
        "example.com:50600",
        "port 20000 to 29999",
        "extension 6500",
        "sip:6500@10.0.0.1:5070",
        "queue sales: 2 of 3 agents free, 0 waiting",
        "SIP/2.0 486 Busy Here",
        "pjproject 2.17, Asterisk 22.6.0",
    ],
)
def test_what_is_no_phone_number_stays_whole(text: str) -> None:
    assert mask_text(text) == text


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), st.sampled_from(["", "sip:{}@host", "<tel:{}>", "x={};"]))
def test_no_e164_number_gets_through_in_any_dress(number: str, dress: str) -> None:
    text = dress.format(number) if dress else number
    assert number[1:] not in mask_text(text)
    assert number[-3:] in mask_text(text)


def test_a_field_for_numbers_is_held_to_it_and_a_field_for_ids_is_not() -> None:
    fields = {
        "caller": 31612345678,
        "requested_target": "65001",
        "call_id": "1732285000-1234567@10.0.0.1",
        "call_ids": {"target": "12345678@pbx"},
        "port": 50600,
        "transfer": "01234567890123456789012345",
        "sip_code": 486,
        "duration_ms": 12345678,
        "trail": ["asked for +31612345678"],
        "context": {"X-Customer": "0612345678"},
        "answered": True,
        "nothing": None,
    }
    assert clean(fields, numbers=False) == fields | {
        "caller": "***678",
        "requested_target": "***001",
        "trail": ["asked for +***678"],
        "context": {"X-Customer": "***678"},
    }
    assert clean(fields, numbers=True) == fields


@pytest.mark.parametrize("numbers", [True, False])
def test_secrets_never_show(numbers: bool) -> None:
    fields = {
        "password": "hunter2",
        "mqtt_token": b"hunter2",
        "headers": {"Authorization": "Digest hunter2", "Via": "x"},
        "line": 'Proxy-Authorization: Digest username="a", response="hunter2"',
        "event": "called with password=hunter2 and Bearer hunter2",
        "exception": "ValueError: token=hunter2",
        "nested": [{"secret": "hunter2"}, "secret=hunter2"],
    }
    cleaned = clean(fields, numbers=numbers)
    assert "hunter2" not in repr(cleaned)
    assert cleaned["headers"] == {"Authorization": "[redacted]", "Via": "x"}
    # A file's name is no secret, and an operator needs it.
    assert clean({"password_file": "ami.secret"}, numbers=numbers) == {"password_file": "ami.secret"}
    assert redact_text("ami.secret: cannot be read") == "ami.secret: cannot be read"


NEARLY = st.text(alphabet="0123456789+-.() :%2BsiptelxPassword=Bearer,secrtokn_", max_size=60)


@given(NEARLY, st.booleans())
def test_a_text_that_is_not_searched_has_nothing_to_hide(text: str, number_field: bool) -> None:
    pattern = mask._IN_NUMBER_FIELD if number_field else mask._IN_TEXT
    assert mask_text(text, number_field=number_field) == pattern.sub(mask._hide, text)
    assert redact_text(text) == mask._SECRET_TEXT.sub(lambda found: f"{found['name']} [redacted]", text)

# SPDX-License-Identifier: GPL-2.0-or-later
"""What Home Assistant is told of the gateway, and what it would show of the documents that are really sent."""

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Environment, StrictUndefined

from gateway.core.json_form import queue_document
from gateway.core.model import PbxState
from gateway.core.record import Milestone
from gateway.report.event import call_event, transfer_event
from gateway.report.sinks.mqtt.broker import Broker
from gateway.report.sinks.mqtt.discovery import message, topic
from tests.report import samples

BROKER = Broker(instance="pbx-1", host="broker", home_assistant=True)
QUEUES = {"asterisk": ("sales", "a.b", "a-b"), "b": ()}
COMPONENTS = message(BROKER, "1.2.3", QUEUES)["components"]


def shown(template: str, document: object, before: str = "unknown") -> str:
    """What Home Assistant makes of a message."""
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 -- no page is made of it
    value = json.loads(json.dumps(document))
    return environment.from_string(template).render(value_json=value, this=SimpleNamespace(state=before))


def test_it_is_a_device_with_a_sensor_for_each_thing() -> None:
    assert topic(BROKER) == "homeassistant/device/transfer_gateway_pbx-1/config"
    assert len(COMPONENTS) == 3 + 3 * 3
    told = message(BROKER, "1.2.3", QUEUES)
    assert told["device"]["identifiers"] == ["transfer_gateway_pbx-1"]
    assert told["origin"]["name"]
    ids = [one["unique_id"] for one in COMPONENTS.values()]
    assert len(set(ids)) == len(ids)
    for key, one in COMPONENTS.items():
        assert re.fullmatch(r"[A-Za-z0-9_-]+", key)
        assert one["platform"] == "sensor"
        assert one["state_topic"].startswith("transfer-gateway/pbx-1/")
    assert COMPONENTS["asterisk__sales_available"]["state_topic"] == "transfer-gateway/pbx-1/queues/asterisk/sales"


@pytest.mark.parametrize("name", ["available", "callers", "expected_wait_s"])
def test_a_queue_is_shown_as_it_is_and_one_that_is_not_known_as_unknown(name: str) -> None:
    template = COMPONENTS[f"asterisk__sales_{name}"]["value_template"]
    document = queue_document(samples.pbx_state(), "sales", samples.START)
    assert shown(template, document) == str(document[name])
    assert shown(template, queue_document(PbxState("asterisk"), "sales", samples.START)) == "None"


def test_the_last_transfer_is_shown_until_another_has_ended() -> None:
    outcome, reason = (COMPONENTS[f"last_{name}"]["value_template"] for name in ("outcome", "reason"))
    ended = transfer_event("pbx-1", Milestone.ENDED, samples.refused(), samples.START)
    assert (shown(outcome, ended), shown(reason, ended)) == ("refused", "queue-unstaffed")
    for event in (
        transfer_event("pbx-1", Milestone.REQUESTED, samples.requested(), samples.START),
        call_event("pbx-1", samples.call(), samples.START),
    ):
        assert (shown(outcome, event, "completed"), shown(reason, event, "answered")) == ("completed", "answered")


@pytest.mark.parametrize(("state", "available"), [("online", "online"), ("draining", "online"), ("offline", "offline")])
def test_the_status_says_whether_it_is_there(state: str, available: str) -> None:
    [availability] = message(BROKER, "1.2.3", {})["availability"]
    assert availability["topic"] == "transfer-gateway/pbx-1/status"
    assert shown(availability["value_template"], {"state": state}) == available
    assert state in COMPONENTS["state"]["options"]
    assert shown(COMPONENTS["state"]["value_template"], {"state": state}) == state


def test_it_is_told_of_no_caller() -> None:
    ended: Any = transfer_event("pbx-1", Milestone.ENDED, samples.completed(), samples.START)
    assert ended["data"]["caller"]
    for one in COMPONENTS.values():
        if one["state_topic"].endswith("/transfers/+"):
            assert ended["data"]["caller"] not in shown(one["value_template"], ended)
        assert not [key for key in one if key.startswith("json_attributes")]


def test_a_queue_that_is_no_longer_there_is_let_go_of() -> None:
    less = message(BROKER, "1.2.3", {"asterisk": ("sales",)}, COMPONENTS)["components"]
    assert set(less) == set(COMPONENTS)
    gone = [key for key, one in less.items() if one == {"platform": "sensor"}]
    assert len(gone) == 6
    assert all(key.startswith("asterisk__a") for key in gone)

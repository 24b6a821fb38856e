# SPDX-License-Identifier: GPL-2.0-or-later
"""What the connection to the broker adds to the library it is made of."""

import asyncio
import ssl
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from gateway.report.client import Broker, Client, PublishRefusedError, explain

BROKER = Broker(instance="pbx-1", host="broker.example.com")


async def test_a_cancelled_publish_ends_even_when_the_library_misses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def deaf(*_args: Any, **_options: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    monkeypatch.setattr(aiomqtt.Client, "publish", deaf)
    publishing = asyncio.create_task(Client(BROKER.host).publish("topic"))
    await begun.wait()
    publishing.cancel()
    await asyncio.wait({publishing}, timeout=5)
    assert publishing.cancelled()


def connect_error(code: int) -> aiomqtt.MqttError:
    return aiomqtt.MqttCodeError(ReasonCode(PacketTypes.CONNACK, identifier=code))


def certificate_error() -> aiomqtt.MqttError:
    cause = ssl.SSLCertVerificationError()
    cause.verify_message = "self-signed certificate"
    error = aiomqtt.MqttError("[SSL] …")
    # What aiomqtt's `raise MqttError(str(exc)) from None` leaves.
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "says", "hopeless"),
    [
        (connect_error(134), "refuses the user name or password", True),
        (connect_error(135), "refuses the user name or password", True),
        (connect_error(136), "no connection to the broker at broker.example.com:1883", False),
        (PublishRefusedError("Not authorized"), "may this user write to transfer-gateway/pbx-1/#?", True),
        (certificate_error(), "not trusted: self-signed certificate", True),
        (
            aiomqtt.MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, identifier=142)),
            "does a second gateway run as instance pbx-1?",
            False,
        ),
        (aiomqtt.MqttError("[Errno 111] Connection refused"), "Connection refused", False),
    ],
)
def test_an_error_says_what_an_operator_can_do(error: aiomqtt.MqttError, says: str, hopeless: bool) -> None:
    text, is_hopeless = explain(error, BROKER)
    assert says in text
    assert is_hopeless is hopeless

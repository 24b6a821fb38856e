# SPDX-License-Identifier: GPL-2.0-or-later
"""What the connection to the broker adds to the library it is made of."""

import asyncio
import gc
import ssl
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from gateway.report.sinks.mqtt.broker import Broker
from gateway.report.sinks.mqtt.connection import connected
from gateway.report.sinks.mqtt.refusals import explain
from tests.support.certificates import Authority

BROKER = Broker(instance="pbx-1", host="broker.example.com")


def connect_error(code: int) -> aiomqtt.MqttError:
    return aiomqtt.MqttCodeError(ReasonCode(PacketTypes.CONNACK, identifier=code))


def certificate_error() -> aiomqtt.MqttError:
    cause = ssl.SSLCertVerificationError()
    cause.verify_message = "self-signed certificate"
    error = aiomqtt.MqttError("[SSL] …")
    # What aiomqtt's `raise MqttError(str(exc)) from None` leaves.
    error.__context__ = cause
    return error


def open_tls_sockets() -> list[ssl.SSLSocket]:
    """Also those that nobody has any more, and that nothing has collected yet."""
    return [each for each in gc.get_objects() if isinstance(each, ssl.SSLSocket) and each.fileno() >= 0]


@pytest.mark.broker
async def test_a_broker_that_is_not_trusted_leaves_no_socket_open(tmp_path: Path) -> None:
    context = Authority(tmp_path / "ca").identity("127.0.0.1").server()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    before = open_tls_sockets()
    server = await asyncio.start_server(say_nothing, "127.0.0.1", ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        broker = Broker(instance="pbx-1", host="127.0.0.1", port=port, tls=True)
        with pytest.raises(aiomqtt.MqttError) as caught:
            async with connected(broker, None):
                pass
        assert "not trusted" in explain(caught.value, broker)[0]
        assert open_tls_sockets() == before


@pytest.mark.parametrize(
    ("error", "says", "hopeless"),
    [
        (connect_error(134), "refuses the user name or password", True),
        (connect_error(135), "refuses the user name or password", True),
        (connect_error(136), "no connection to the broker at broker.example.com:1883", False),
        (connect_error(155), "takes nothing of QoS 1", True),
        (certificate_error(), "not trusted: self-signed certificate", True),
        (
            aiomqtt.MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, identifier=142)),
            "does a second gateway run as instance pbx-1?",
            False,
        ),
        (aiomqtt.MqttError("[Errno 111] Connection refused"), ":1883: Connection refused", False),
    ],
)
def test_an_error_says_what_an_operator_can_do(error: aiomqtt.MqttError, says: str, hopeless: bool) -> None:
    text, is_hopeless = explain(error, BROKER)
    assert says in text
    assert is_hopeless is hopeless

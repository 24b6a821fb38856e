# SPDX-License-Identifier: GPL-2.0-or-later
"""What a broker refuses, or why a connection to it ends, and what of that an operator can mend."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from gateway.core.system_error import in_words

if TYPE_CHECKING:
    from gateway.report.sinks.mqtt.broker import Broker

SESSION_TAKEN_OVER = 0x8E
PACKET_TOO_LARGE = 0x95
RETAIN_NOT_SUPPORTED = 0x9A
# Of a CONNACK: unspecified, malformed packet, protocol error, implementation specific, not authorised, topic name
# invalid, packet too large, quota exceeded, payload format invalid, retain or QoS not supported (MQTT 5 §3.2.2.2).
ABOUT_A_WILL = (0x80, 0x81, 0x82, 0x83, 0x87, 0x90, PACKET_TOO_LARGE, 0x97, 0x99, RETAIN_NOT_SUPPORTED, 0x9B)
TEMPORARY = (0x91, 0x97)  # packet identifier in use, quota exceeded: the same message may be taken later


class NoAnswerError(aiomqtt.MqttError):
    """The broker has left a publish unanswered for too long."""


class PublishRefusedError(aiomqtt.MqttError):
    """The broker will not have a message; `code` is its reason (MQTT 5 §3.4.2.1). The connection goes on."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.code = code

    @property
    def is_temporary(self) -> bool:
        """Whether the same message may be taken later."""
        return self.code in TEMPORARY


def reason_of(error: BaseException) -> int | None:
    """The reason code with which a broker refused or ended a connection; None: it gave none."""
    if isinstance(error, aiomqtt.MqttCodeError) and isinstance(error.rc, ReasonCode):
        return error.rc.value
    return None


def may_be_about_will(error: BaseException) -> bool:
    """Whether a broker that has refused a connection may have done so because of the will that came with it."""
    rc = getattr(error, "rc", None)
    return isinstance(rc, ReasonCode) and rc.packetType == PacketTypes.CONNACK and rc.value in ABOUT_A_WILL


def _has_ended(error: BaseException) -> bool:
    """Whether an error is a DISCONNECT with a reason, not a connection that never was."""
    rc = getattr(error, "rc", None)
    return isinstance(rc, ReasonCode) and rc.packetType == PacketTypes.DISCONNECT


def explain(error: BaseException, broker: Broker) -> tuple[str, bool]:
    """What went wrong, in words for the log, and whether only a person can mend it (so that retrying is for later)."""
    where = f"{broker.host}:{broker.port}"
    # aiomqtt turns every OSError into text; what it was is still there, as the context.
    if isinstance(error.__context__, ssl.SSLCertVerificationError):
        return f"the certificate of the broker at {where} is not trusted: {error.__context__.verify_message}", True
    if isinstance(error, aiomqtt.MqttCodeError):
        match reason_of(error):
            case 134 | 135 if not _has_ended(error):
                return f"the broker at {where} refuses the user name or password ({error.rc})", True
            case 155:
                return f"the broker at {where} takes nothing of QoS 1, with which events are sent", True
            case 142:
                other = f"does a second gateway run as instance {broker.instance}?"
                return f"the broker at {where} gave our session to another client: {other}", False
    if _has_ended(error):
        return f"the broker at {where} closed the connection: {error}", False
    if str(error) == "Disconnected during message iteration":
        return f"the broker at {where} closed the connection", False
    return f"no connection to the broker at {where}: {in_words(error)}", False

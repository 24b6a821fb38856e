# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON Schemas of all that goes over the broker, and the AsyncAPI document that says where.

`make schemas` writes them to docs/schema.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway.commands import CallBackCommand, CancelCommand, HangUpCommand, TransferCommand
from gateway.core.event_types import CALL_ENDED, EARLIER, EVENT_TYPES, PLATFORM_CALL, TRANSFER_ENDED
from gateway.documents import AvailabilityData, ChainData, ErrorData, Published, QueueData, StatusData, TransferData
from gateway.report.event import (
    CONTENT_TYPE,
    CallEndedEvent,
    PlatformCallEvent,
    TransferEndedEvent,
    TransferEvent,
    schema,
)
from gateway.report.peers.documents import ClaimData, LoadData

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema: TypeAlias = dict[str, Any]


class TransferAnswer(Published):
    """What the gate says to the command `transfer`."""

    id: str | None = Field(description="that of the command")
    call: str
    status: Literal["accepted", "refused"]
    transfer: TransferData  # type: ignore[valid-type]  # made of the record


class CallBackAnswer(Published):
    """What the gate says to the command `callback`."""

    id: str | None = Field(description="that of the command")
    status: Literal["accepted", "refused"]
    transfer: TransferData  # type: ignore[valid-type]


class CancelAnswer(Published):
    """What the command `cancel` comes to."""

    id: str | None = Field(description="that of the command")
    status: Literal["cancelled"]
    transfer: TransferData  # type: ignore[valid-type]


class HangUpAnswer(Published):
    """What the command `hangup` comes to."""

    id: str | None = Field(description="that of the command")
    call: str
    status: Literal["ended"]


class Failure(Published):
    """A command that was not carried out."""

    id: str | None = Field(description="that of the command; null where it could not be read")
    error: ErrorData


def _milestone(kind: str) -> type[BaseModel]:
    name = "".join(part.title() for part in kind.split(".")[:2])
    only: Any = Literal[kind]
    return create_model(name, __base__=TransferEvent, __doc__=TransferEvent.__doc__, type=(only, ...))


MESSAGES: Mapping[str, tuple[type[BaseModel], JsonSchemaMode]] = {
    **{kind: (_milestone(kind), "serialization") for kind in EARLIER},
    TRANSFER_ENDED: (TransferEndedEvent, "serialization"),
    CALL_ENDED: (CallEndedEvent, "serialization"),
    PLATFORM_CALL: (PlatformCallEvent, "serialization"),
    "status": (StatusData, "serialization"),
    "queue": (QueueData, "serialization"),
    "availability": (AvailabilityData, "serialization"),
    "chain": (ChainData, "serialization"),
    "load": (LoadData, "serialization"),
    "claim": (ClaimData, "serialization"),
    "command.transfer": (TransferCommand, "validation"),
    "command.callback": (CallBackCommand, "validation"),
    "command.cancel": (CancelCommand, "validation"),
    "command.hangup": (HangUpCommand, "validation"),
    "response.transfer": (TransferAnswer, "serialization"),
    "response.callback": (CallBackAnswer, "serialization"),
    "response.cancel": (CancelAnswer, "serialization"),
    "response.hangup": (HangUpAnswer, "serialization"),
    "response.error": (Failure, "serialization"),
}
"""What is sent or received, by its name: the model, and whether it is what we write or what we read."""


def json_schemas() -> dict[str, Schema]:
    """A JSON Schema (2020-12) for each message by itself, by its name; `event` is that of all events."""
    made = {
        name: {"$schema": DIALECT, **model.model_json_schema(mode=mode), "title": name}
        for name, (model, mode) in MESSAGES.items()
    }
    return {"event": schema(), **made}


def key(name: str) -> str:
    """A message's key in the AsyncAPI document; some of its readers want no dots in there."""
    return name.replace(".", "-")


def asyncapi() -> Schema:
    """The AsyncAPI 3 document of the gateway at the broker. It says what the gateway does: `send` is what it sends."""
    models, definitions = models_json_schema(
        [*MESSAGES.values()], ref_template="#/components/schemas/{model}", by_alias=True
    )
    messages = {
        key(name): {
            "name": name,
            "contentType": CONTENT_TYPE if name in EVENT_TYPES else "application/json",
            "summary": " ".join((model.__doc__ or "").split("\n\n")[0].split()),
            "payload": models[(model, mode)],
        }
        for name, (model, mode) in MESSAGES.items()
    }
    for name in ("command.transfer", "command.callback", "command.cancel", "command.hangup"):
        messages[key(name)] |= {"headers": _REPLY_TO, "correlationId": {"location": "$message.header#/correlationData"}}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Transfer gateway: events and commands",
            "version": "1",
            "description": "What becomes of transfers, and how to ask for one, over MQTT 5. Fields may be added.",
            "license": {"name": "GPL-2.0-or-later"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "{host}",
                "protocol": "mqtt",
                "protocolVersion": "5",
                "description": "the broker of `[mqtt]`",
                "variables": {"host": {"description": "with the port where it is not 1883"}},
            }
        },
        "channels": {name: _channel(address, messages_of) for name, (address, messages_of) in _CHANNELS.items()},
        "operations": {
            "tellStatus": _operation("send", "status", 1, retain=True),
            "tellTransfers": _operation("send", "transfers", 1),
            "tellQueue": _operation("send", "queue", 0, retain=True),
            "tellAvailability": _operation("send", "availability", 0, retain=True),
            "tellChain": _operation("send", "chain", 0, retain=True),
            "tellLoad": _operation("send", "load", 1, retain=True),
            "tellOpen": _operation("send", "open", 1, retain=True),
            "claimOrphan": _operation("send", "orphans", 1, retain=True),
            "takeTransfer": _operation("receive", "commandTransfer", 1) | _reply("responseTransfer"),
            "takeCallback": _operation("receive", "commandCallback", 1) | _reply("responseCallback"),
            "takeCancel": _operation("receive", "commandCancel", 1) | _reply("responseCancel"),
            "takeHangup": _operation("receive", "commandHangup", 1) | _reply("responseHangup"),
        },
        "components": {"messages": messages, "schemas": definitions["$defs"]},
    }


_REPLY_TO = {
    "type": "object",
    "properties": {
        "responseTopic": {"type": "string", "description": "below `<base>/responses/`, or it is not used"},
        "correlationData": {"type": "string"},
    },
}
_PARAMETERS = {
    "base_topic": "`base_topic` of `[mqtt]`",
    "instance": "`instance` of `[gateway]`",
    "number": "id of the assigned number; `unknown` for a request that belongs to none",
    "pbx": "id of the PBX",
    "transfer": "id of the transfer",
    "queue": "name of the queue",
}
_BASE = "{base_topic}/{instance}"
_CHANNELS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "status": (f"{_BASE}/status", ("status",)),
    "transfers": (f"{_BASE}/transfers/{{number}}", EVENT_TYPES),
    "queue": (f"{_BASE}/queues/{{pbx}}/{{queue}}", ("queue",)),
    "availability": (f"{_BASE}/availability/{{number}}", ("availability",)),
    "chain": (f"{_BASE}/chain", ("chain",)),
    "load": (f"{_BASE}/load", ("load",)),
    "open": (f"{_BASE}/open/{{transfer}}", EARLIER),
    "orphans": (f"{_BASE}/orphans/{{transfer}}", ("claim",)),
    "commandTransfer": (f"{_BASE}/commands/transfer", ("command.transfer",)),
    "commandCallback": (f"{_BASE}/commands/callback", ("command.callback",)),
    "commandCancel": (f"{_BASE}/commands/cancel", ("command.cancel",)),
    "commandHangup": (f"{_BASE}/commands/hangup", ("command.hangup",)),
    "responseTransfer": (f"{_BASE}/responses/transfer", ("response.transfer", "response.error")),
    "responseCallback": (f"{_BASE}/responses/callback", ("response.callback", "response.error")),
    "responseCancel": (f"{_BASE}/responses/cancel", ("response.cancel", "response.error")),
    "responseHangup": (f"{_BASE}/responses/hangup", ("response.hangup", "response.error")),
}


def _channel(address: str, messages: tuple[str, ...]) -> Schema:
    return {
        "address": address,
        "messages": {key(name): {"$ref": f"#/components/messages/{key(name)}"} for name in messages},
        "parameters": {name: {"description": words} for name, words in _PARAMETERS.items() if f"{{{name}}}" in address},
    }


def _operation(action: str, channel: str, qos: int, *, retain: bool = False) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "bindings": {"mqtt": {"qos": qos, "retain": retain, "bindingVersion": "0.2.0"}},
    }


def _reply(channel: str) -> Schema:
    return {
        "reply": {
            "address": {"location": "$message.header#/responseTopic"},
            "channel": {"$ref": f"#/channels/{channel}"},
        }
    }

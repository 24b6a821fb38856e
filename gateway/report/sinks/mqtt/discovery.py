# SPDX-License-Identifier: GPL-2.0-or-later
"""What Home Assistant is told so that it shows the gateway as a device: its MQTT discovery, one message for all of it.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload (since 2024.11). Home Assistant then reads the
same topics as everybody else. It is told of no caller: what it shows it also keeps.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from gateway.report.sinks.mqtt.broker import Broker

PREFIX = "homeassistant"
"""Where it listens unless it was configured otherwise."""

_UNFIT = re.compile(r"[^A-Za-z0-9-]")

Component: TypeAlias = dict[str, Any]

# Before the first transfer there is no state to keep, and Home Assistant takes "None" for unknown.
_LAST = "{{{{ value_json.data.{name} if value_json.type == 'transfer.ended.v1' else this.state }}}}"
_OF_QUEUE = "{{{{ value_json.{name} if value_json.known else none }}}}"


def topic(broker: Broker) -> str:
    """Where the message goes, retained."""
    return f"{PREFIX}/device/transfer_gateway_{broker.instance}/config"


def message(
    broker: Broker, version: str, queues: Mapping[str, Collection[str]], gone: Collection[str] = ()
) -> dict[str, Any]:
    """The message: the gateway, and the queues of each PBX. Of the components in `gone` it lets go."""
    components = dict(_components(broker, queues))
    # Home Assistant keeps a component until it is named with nothing but its kind.
    left = {name: {"platform": "sensor"} for name in gone if name not in components}
    about = {"name": "transfer-gateway", "sw_version": version}
    return {
        "device": {
            "identifiers": [f"transfer_gateway_{broker.instance}"],
            "name": f"Transfer gateway {broker.instance}",
            "manufacturer": "transfer-gateway",
            "sw_version": version,
        },
        "origin": about,
        "availability": [
            {
                "topic": f"{broker.base}/status",
                "value_template": "{{ 'offline' if value_json.state == 'offline' else 'online' }}",
            }
        ],
        "qos": 1,
        "components": {**components, **left},
    }


def _components(broker: Broker, queues: Mapping[str, Collection[str]]) -> Iterator[tuple[str, Component]]:
    def sensor(key: str, name: str, source: str, template: str, **more: Any) -> tuple[str, Component]:
        return key, {
            "platform": "sensor",
            "unique_id": f"transfer_gateway_{broker.instance}_{key}",
            "name": name,
            "state_topic": f"{broker.base}/{source}",
            "value_template": template,
            **more,
        }

    states = {"device_class": "enum", "options": ["online", "draining", "offline"]}
    yield sensor("state", "State", "status", "{{ value_json.state }}", **states)
    yield sensor("last_outcome", "Last transfer", "transfers/+", _LAST.format(name="outcome"))
    yield sensor("last_reason", "Last transfer's reason", "transfers/+", _LAST.format(name="reason"))
    for pbx, names in sorted(queues.items()):
        for queue in sorted(names):
            key, source = _key(pbx, queue), f"queues/{pbx}/{queue}"
            number = {"state_class": "measurement"}
            for field, name, more in (
                ("available", "agents free", number),
                ("callers", "callers waiting", number),
                ("expected_wait_s", "expected wait", {"device_class": "duration", "unit_of_measurement": "s"}),
            ):
                yield sensor(f"{key}_{field}", f"{queue}: {name}", source, _OF_QUEUE.format(name=field), **more)


def _key(pbx: str, queue: str) -> str:
    """One for each queue, of the characters that a key may have: a slug has no underscore, so that two stay two."""
    return f"{pbx}__" + _UNFIT.sub(lambda found: f"_{ord(found[0]):x}_", queue)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that the documents use and that this machine may not have: `python -m tests.documents.programs NAME …`."""

from __future__ import annotations

import argparse
import sqlite3
import sys

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion


def query(arguments: list[str]) -> None:
    """sqlite3 -readonly FILE STATEMENT: its rows, with | between their columns."""
    option, file, statement = arguments
    assert option == "-readonly"
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        for row in database.execute(statement):
            print("|".join(map(str, row)))


def subscribe(arguments: list[str]) -> None:
    """mosquitto_sub -h HOST [-p PORT] -V 5 -t TOPIC -v: ends after the first message, where the real one goes on."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("-h", dest="host", required=True)
    options.add_argument("-p", dest="port", type=int, default=1883)
    options.add_argument("-t", dest="topic", required=True)
    options.add_argument("-V", choices=["5"], required=True)
    options.add_argument("-v", action="store_true", required=True)
    chosen = options.parse_args(arguments)
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)

    def told(_client: Client, _data: object, message: MQTTMessage) -> None:
        print(message.topic, message.payload.decode())
        client.disconnect()

    client.on_message = told
    client.connect(chosen.host, chosen.port)
    client.subscribe(chosen.topic)
    client.loop_forever()


if __name__ == "__main__":
    {"sqlite3": query, "mosquitto_sub": subscribe}[sys.argv[1]](sys.argv[2:])

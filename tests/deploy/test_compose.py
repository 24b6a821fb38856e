# SPDX-License-Identifier: GPL-2.0-or-later
"""deploy/compose.yaml: its files are there, and the programs that it starts take them. It takes no container engine."""

from __future__ import annotations

import asyncio
import posixpath
import re
import shutil
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
import yaml
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.company import settings
from tests.support.fetch import programs
from tests.support.gateway import Gateway
from tests.support.processes import Child, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.processes import Net

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
BASE = "transfer-gateway/test"
PASSWORDS = {"transfer-gateway": "of the gateway", "reader": "of a reader", "operator": "of an operator"}


def run(program: str, *arguments: str) -> None:
    command = [*programs().command(program), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def mounts() -> dict[str, Path]:
    """Where in a container each file or directory of this tree is, and which."""
    found = {}
    for service in SERVICES.values():
        for volume in service["volumes"]:
            source, target, *_ = volume.split(":")
            if source.startswith("./"):
                found[target] = DEPLOY / source
    return found


def test_what_is_mounted_is_there_and_where_its_programs_look_for_it() -> None:
    found = mounts()
    assert [str(path) for path in found.values() if not path.exists()] == []
    options = SERVICES["prometheus"]["command"]
    config = next(option for option in options if option.startswith("--config.file=")).partition("=")[2]
    assert (found["/etc/prometheus"] / Path(config).name).exists()
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/transfer-gateway.yaml").read_text())
    assert found[provider["providers"][0]["options"]["path"]].samefile(DEPLOY / "grafana/dashboards")
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    address = next(option for option in options if option.startswith("--web.listen-address=")).partition("=")[2]
    assert source["datasources"][0]["url"].rpartition(":")[2] == address.rpartition(":")[2]
    assert "--enable-feature=exemplar-storage" in options


def test_nothing_but_the_gateway_can_be_reached_from_elsewhere() -> None:
    assert "--web.listen-address=127.0.0.1:9090" in SERVICES["prometheus"]["command"]
    assert SERVICES["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert "listener 1883 127.0.0.1" in (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()


@pytest.mark.broker
async def test_prometheus_starts_with_its_options_and_files(tmp_path: Path) -> None:
    port = free_port()
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "etc")
    run("usr/bin/promtool", "check", "config", str(tmp_path / "etc" / "prometheus.yml"))
    replaced = {"=/etc/prometheus": f"={tmp_path}/etc", "=/prometheus": f"={tmp_path}/data", ":9090": f":{port}"}
    options = SERVICES["prometheus"]["command"]
    for old, new in replaced.items():
        options = [option.replace(old, new) for option in options]
    child = Child("prometheus", [*programs().command("usr/bin/prometheus"), *options], tmp_path / "log")
    try:
        await child.accepts("127.0.0.1", port)
    finally:
        await child.stop()


@asynccontextmanager
async def mosquitto(directory: Path, rights: Callable[[str], str] = str) -> AsyncIterator[int]:
    """The broker with the files that are shipped, on a port of its own; `rights` may alter what its users may do."""
    port = free_port()
    shutil.copytree(DEPLOY / "mosquitto", directory / "config")
    (directory / "data").mkdir()
    secrets = directory / "config" / "passwords"
    secrets.touch(0o600)
    for user, password in PASSWORDS.items():
        run("usr/bin/mosquitto_passwd", "-b", str(secrets), user, password)
    file = directory / "config" / "rights"
    file.write_text(rights(file.read_text()))
    file.chmod(0o600)
    config = directory / "config" / "mosquitto.conf"
    text = config.read_text().replace("listener 1883", f"listener {port}").replace("/mosquitto/", f"{directory}/")
    config.write_text(f"{text}user root\n")
    child = Child("mosquitto", [*programs().command("usr/sbin/mosquitto"), "-c", str(config)], directory / "log")
    try:
        await child.accepts("127.0.0.1", port)
        yield port
    finally:
        await child.stop()


def client(port: int, user: str) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1", port, username=user, password=PASSWORDS[user], protocol=aiomqtt.ProtocolVersion.V5
    )


async def heard(listener: aiomqtt.Client, last: str) -> list[str]:
    """The topics of what came, up to this one."""
    found = []
    async with asyncio.timeout(10):
        async for message in listener.messages:
            found.append(str(message.topic))
            if found[-1] == last:
                return found
    raise AssertionError(found)


@pytest.mark.broker
@pytest.mark.keeps("16.204")
async def test_the_broker_gives_each_user_what_they_need_and_no_more(tmp_path: Path) -> None:
    topics = ("transfers/main-line", "queues/asterisk/sales", "availability/main-line", "responses/transfer", "status")
    told = [f"{BASE}/{name}" for name in topics]
    async with mosquitto(tmp_path) as port:
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client("127.0.0.1", port):
                pass
        async with (
            client(port, "transfer-gateway") as gateway,
            client(port, "reader") as reader,
            client(port, "operator") as operator,
        ):
            for each in (gateway, reader, operator):
                await each.subscribe("#", qos=1)
            # Only the operator may send commands, and only the gateway hears them.
            for each in (reader, gateway):
                await each.publish(f"{BASE}/commands/transfer", "{}", qos=1)
            await operator.publish(f"{BASE}/commands/cancel", "{}", qos=1)
            assert await heard(gateway, f"{BASE}/commands/cancel") == [f"{BASE}/commands/cancel"]
            # Nobody but the gateway reports.
            for each in (reader, operator):
                await each.publish(f"{BASE}/transfers/forged", "{}", qos=1)
            for topic in told:
                await gateway.publish(topic, "{}", qos=1)
            assert await heard(operator, told[-1]) == told
            assert await heard(reader, told[-1]) == [topic for topic in told if "/responses/" not in topic]


TOPICS = {
    "status", "transfers/main-line", "queues/asterisk/sales", "responses/transfer", "commands/transfer",
    "../other/status", "../../elsewhere", "../../homeassistant/device/transfer_gateway_test/config", "forged",
}  # fmt: skip
MAY_WRITE = {
    "transfer-gateway": {
        "status", "transfers/main-line", "queues/asterisk/sales", "responses/transfer", "../other/status",
    },
    "reader": set(),
    "operator": {"commands/transfer"},
}  # fmt: skip


def written(port: int, user: str) -> set[str]:
    """The topics that the broker takes from a user, by its acknowledgements."""
    answers: dict[int, bool] = {}
    connection = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    connection.on_publish = lambda _client, _data, mid, reason, _properties: answers.update(
        {mid: not reason.is_failure}
    )
    connection.username_pw_set(user, PASSWORDS[user])
    connection.connect("127.0.0.1", port)
    connection.loop_start()
    try:
        sent = {}
        for topic in TOPICS:
            message = connection.publish(posixpath.normpath(f"{BASE}/{topic}"), "{}", qos=1)
            message.wait_for_publish(10)
            sent[message.mid] = topic
    finally:
        connection.disconnect()
        connection.loop_stop()
    return {topic for mid, topic in sent.items() if answers[mid]}


@pytest.mark.broker
@pytest.mark.keeps("16.204")
@pytest.mark.parametrize("user", PASSWORDS)
async def test_what_a_user_may_not_write_is_refused(tmp_path: Path, user: str) -> None:
    async with mosquitto(tmp_path) as port:
        assert await asyncio.to_thread(written, port, user) == MAY_WRITE[user]


@pytest.mark.broker
async def test_home_assistant_is_told_with_the_line_that_is_there_for_it(tmp_path: Path) -> None:
    file = tmp_path / "config" / "rights"
    async with mosquitto(tmp_path, rights=lambda text: text.replace("#topic", "topic")) as port:
        assert "\ntopic write homeassistant/" in file.read_text()
        topic = "../../homeassistant/device/transfer_gateway_test/config"
        assert await asyncio.to_thread(written, port, "transfer-gateway") == MAY_WRITE["transfer-gateway"] | {topic}


@pytest.mark.sip
@pytest.mark.broker
async def test_a_gateway_reports_to_that_broker_and_hears_its_commands(tmp_path: Path, own_net: Net) -> None:
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:5070")
    async with mosquitto(tmp_path) as port:
        login = {"username": "transfer-gateway", "password_file": "mqtt.secret"}
        files.main["mqtt"] = {"host": "127.0.0.1", "port": port, **login}
        files.secrets["mqtt.secret"] = PASSWORDS["transfer-gateway"]
        async with client(port, "operator") as operator:
            await operator.subscribe(f"{BASE}/#", qos=1)
            async with Gateway(files) as gateway:
                await heard(operator, f"{BASE}/status")
                await heard(operator, f"{BASE}/availability/main-line")
                command = '{"type":"cancel","transfer":"01J8ZQ7T9K3M5N7P9R1S3T5V7X","id":"one"}'
                await operator.publish(f"{BASE}/commands/cancel", command, qos=1)
                await heard(operator, f"{BASE}/responses/cancel")
                assert not re.search("message-refused|event-refused|broker-unreachable", gateway.log)

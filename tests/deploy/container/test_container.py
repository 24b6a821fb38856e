# SPDX-License-Identifier: GPL-2.0-or-later
"""The image of the Dockerfile: what is in it, and a gateway that serves from it, drains, and is started again."""

from __future__ import annotations

import asyncio
import resource
import shutil
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.deploy.container.contained import NAME, STATE, Contained, hand_over
from tests.deploy.container.engine import IMAGE, ROOT, Engine, documented
from tests.sip.scenario import both_hear_anew
from tests.sip.scene import CALLER_HZ, LINES, TARGET_HZ, Scene, settings
from tests.support.configuration import Configuration, write_files
from tests.support.processes import Net, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.booted, pytest.mark.timeout(900)]

ADDS_MB = 135
"""To what the base has: Python with its standard library, the packages, the gateway."""
TOOLS = ("cc", "gcc", "g++", "c++", "ld", "make", "swig", "git", "pip", "pip3", "curl", "wget")
# More than SQLite sorts in memory: the rest goes into a file, where it may make one.
SORTS = """
import sqlite3
db = sqlite3.connect(":memory:")
db.execute("pragma cache_size = 10")
numbers = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)"
print(len(db.execute(f"{numbers} select i, hex(zeroblob(99)) from n order by i % 7919, 2 desc").fetchall()))
"""


def one_line(net: Net) -> Configuration:
    """One line, between a scripted platform and a scripted PBX."""
    files = settings(net, {"main": LINES["main"]})
    files.main["gateway"]["drain_timeout_s"] = 30
    return files


@asynccontextmanager
async def contained(podman: Engine) -> AsyncIterator[tuple[Contained, Scene]]:
    """A gateway in its container, and those who call each other through it."""
    with Net() as net:
        async with Contained(podman, one_line(net)) as gateway, Scene(net, gateway) as scene:
            yield gateway, scene


async def transferred(scene: Scene) -> None:
    """A caller who is put through to Anna, and whom she hears."""
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    assert (await scene.outcome())["outcome"] == "completed"
    assert (await caller.hang_up()).code == 200
    await scene.gateway.idle()


@pytest.mark.keeps("20.64")
def test_the_image_is_small_and_has_neither_compiler_nor_root(podman: Engine) -> None:
    told = podman.inspect(IMAGE)
    config = told["Config"]
    assert config["User"] == "947:947"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Volumes"] == {STATE: {}}
    assert config["Entrypoint"] == ["transfer-gateway"]
    assert "Test" in told["Healthcheck"]
    assert config["Labels"]["org.opencontainers.image.licenses"] == "GPL-3.0-or-later"
    assert told["Size"] - podman.inspect(podman.base)["Size"] < ADDS_MB * 1e6
    script = "for tool; do command -v $tool; done; dpkg-query -W -f '${Package}\\n' | grep -e '-dev$'"
    assert podman("run", "--rm", "--entrypoint=sh", IMAGE, "-c", f"{script} || true", "sh", *TOOLS) == ""


@pytest.mark.keeps("20.64")
def test_its_command_says_what_is_wrong_with_a_configuration(podman: Engine, tmp_path: Path) -> None:
    assert podman("run", "--rm", IMAGE, "--version")
    write_files(tmp_path, {"gateway.toml": "[gateway"})
    tmp_path.chmod(0o755)
    command = ["podman", "run", "--rm", "--network=none", "-v", f"{tmp_path}:/etc/transfer-gateway:ro", IMAGE]
    done = subprocess.run(command, env=podman.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "gateway.toml" in done.stderr
    assert "is not TOML" in done.stderr


@pytest.mark.keeps("20.110")
def test_a_secret_that_its_user_cannot_read_is_named_with_the_user(podman: Engine, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sip_profiles", tmp_path / "sip_profiles")
    shutil.copy(ROOT / "deploy" / "config" / "gateway.toml", tmp_path)
    secret = tmp_path / "sip_profiles" / "ami.secret"
    secret.write_text("a-secret-of-root-s-own")
    secret.chmod(0o600)
    tmp_path.chmod(0o755)
    command = ["podman", *documented("docker run --rm")]
    command[command.index("-v") + 1] = f"{tmp_path}:/etc/transfer-gateway:ro"
    done = subprocess.run(command, env=podman.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "ami.secret can't be read: Permission denied; user 947 has to be let read it" in done.stdout
    hand_over(tmp_path)
    podman(*command[1:])


@pytest.mark.keeps("20.65")
@pytest.mark.keeps("20.108")
async def test_it_puts_a_caller_through_with_no_right_and_nothing_to_write_to(podman: Engine, network: None) -> None:
    async with contained(podman) as (gateway, scene):
        assert await gateway.healthy()
        assert (await gateway.inside("id", "-u")).strip() == "947"
        [rights] = [line for line in (await gateway.inside("cat", "/proc/1/status")).splitlines() if "CapBnd" in line]
        assert int(rights.split()[1], 16) == 0
        limits = await gateway.inside("cat", "/proc/1/limits")
        _, _, _, soft, hard, _ = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()
        assert soft == hard == str(min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        with pytest.raises(AssertionError, match="Read-only file system"):
            await gateway.inside("touch", "/tmp/anything")
        assert (await gateway.inside("python", "-c", SORTS)).strip() == "200000"
        await transferred(scene)
        assert "completed" in await gateway.inside("transfer-gateway", "report")
        await gateway.inside(NAME, "check")
        reload = documented(f"docker exec {NAME} {NAME} reload")
        assert await gateway.does(*reload) == "nothing has changed\n"
        gateway.files.main["gateway"]["log_level"] = "debug"
        gateway.write()
        assert await gateway.does(*reload) == "applied: gateway.log_level\n"
        gateway.files.main["gateway"]["log_level"] = "loud"
        gateway.write()
        with pytest.raises(AssertionError, match=r"gateway\.toml: gateway\.log_level"):
            await gateway.does(*reload)
        assert (await gateway.get("/api/status"))["configuration"]["reloads"] == 2
        gateway.files.main["gateway"]["log_level"] = "debug"
        gateway.write()
        await gateway.does(*documented(f"docker exec {NAME} {NAME} status"))


@pytest.mark.keeps("20.66")
async def test_it_drains_when_it_is_stopped_and_remembers(podman: Engine, network: None) -> None:
    async with contained(podman) as (gateway, scene):
        await transferred(scene)
        caller, assistant = await scene.bridged()
        stopped = asyncio.ensure_future(gateway.stop())

        async def drains() -> bool:  # which the image's check is told, as the engine runs none in what it is stopping
            return (await gateway.http("GET", "/readyz"))[0] == 503

        await eventually(drains, "it says that it takes no calls any more", timeout_s=10)
        second = scene.call_from_pbx()
        assert (await second.final()).code == 503
        await both_hear_anew(caller, assistant)
        assert not stopped.done()
        assert (await caller.hang_up()).code == 200
        assert await stopped == 0
        await gateway.start()

        async def remembers() -> bool:
            told = (await gateway.get("/api/transfers?cursor="))["transfers"]
            return [one["outcome"] for one in told] == ["completed"]

        await eventually(remembers, "the next one knows of the transfer")

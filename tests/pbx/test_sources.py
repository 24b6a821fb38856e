# SPDX-License-Identifier: GPL-2.0-or-later
"""Each source that a profile may name is made, and is what it says."""

from pathlib import Path
from typing import cast

import pytest

from gateway.clock import LoopClock
from gateway.config import Config, load
from gateway.core.model import DeviceState
from gateway.core.state_sources import StateSource
from gateway.pbx.sources import needs_new_source, source_of
from gateway.ports import ExtensionWatcher
from tests.config_directory import PBX, TRUNK, write
from tests.pbx.fake_ami import FakeAmi, Listener, hint
from tests.pbx.followed import followed

WATCHER = cast("ExtensionWatcher", object())


def with_source(directory: Path, source: str, address: str = "127.0.0.1:5070") -> Config:
    profile = PBX.replace('source = "ami"', f'source = "{source}"').replace("127.0.0.1:5070", address)
    return load(write(directory, profiles={"platform": TRUNK, "asterisk": profile}))


@pytest.mark.parametrize("kind", StateSource)
async def test_the_source_that_the_profile_names_is_made(tmp_path: Path, kind: StateSource) -> None:
    source = source_of(with_source(tmp_path, kind), "asterisk", Listener(), LoopClock(), WATCHER)
    if kind is StateSource.NONE:
        assert source is None
        return
    assert source is not None
    assert source.state.source is kind
    assert (source.state.proven_at, source.up, source.failure) == (None, False, "")


@pytest.mark.parametrize("kind", StateSource)
async def test_what_a_command_can_ask_needs_no_running_gateway(tmp_path: Path, kind: StateSource) -> None:
    source = source_of(with_source(tmp_path, kind), "asterisk", Listener(), LoopClock())
    assert (source is not None) is (kind.traits.login and not kind.traits.over_sip)


@pytest.mark.parametrize("kind", StateSource)
async def test_a_new_address_means_a_new_source_where_it_is_had_over_sip(tmp_path: Path, kind: StateSource) -> None:
    before = with_source(tmp_path, kind)
    now = with_source(tmp_path, kind, "127.0.0.1:5071")
    assert needs_new_source(before, now, "asterisk") is kind.traits.over_sip


@pytest.mark.keeps("16.109")
@pytest.mark.parametrize(
    ("line", "expected"), [("", None), ('extension_context = "phones"', "idle"), ('extension_context = "old"', "busy")]
)
async def test_hints_count_in_the_context_that_the_profile_names(
    tmp_path: Path, line: str, expected: str | None
) -> None:
    async with FakeAmi() as pbx:
        pbx.hints = [hint("6501", 0), hint("6501", 2, "old")]
        profile = PBX.replace('source = "ami"', f'source = "ami"\nport = {pbx.port}\n{line}')
        secrets = {"sip_profiles/ami.secret": pbx.secret}
        config = load(write(tmp_path, profiles={"platform": TRUNK, "asterisk": profile}, secrets=secrets))
        listener = Listener()
        source = source_of(config, "asterisk", listener, LoopClock())
        assert source is not None
        async with followed(source):
            state = await listener.known()
    assert state.extensions.get("6501") == (expected and DeviceState(expected))

# SPDX-License-Identifier: GPL-2.0-or-later
"""`[cluster]`: what it says must hold together, and what the proxy is told of it."""

import json
from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.config.node_token import node_token
from tests.config_directory import MAIN, write
from tests.support.command_line import run

SECRET = "what the nodes share, and nobody else"
NODES = '{ test-1 = "sip:192.0.2.21", test-2 = "sip:192.0.2.22:5062" }'


def directory(path: Path, *, nodes: str = NODES, secret: str = SECRET) -> Path:
    made = write(path, f'{MAIN}\n[cluster]\nsecret_file = "cluster.secret"\nnodes = {nodes}\n')
    (made / "cluster.secret").write_text(f"{secret}\n")
    return made


def mistakes(path: Path, *, nodes: str = NODES, secret: str = SECRET) -> list[str]:
    with pytest.raises(ConfigError) as found:
        load(directory(path, nodes=nodes, secret=secret))
    return [str(each) for each in found.value.mistakes]


def test_a_gateway_knows_its_own_token(tmp_path: Path) -> None:
    assert load(directory(tmp_path)).token == node_token(SECRET, "test-1")
    assert load(directory(tmp_path), secrets=False).token == ""


def test_without_it_there_is_none(tmp_path: Path) -> None:
    assert load(write(tmp_path, MAIN)).token == ""


def test_a_gateway_that_its_own_cluster_does_not_know_is_a_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path, nodes='{ test-11 = "sip:192.0.2.21" }') == [
        'gateway.toml: cluster.nodes: lacks "test-1", the instance of this gateway; did you mean test-11?'
    ]


def test_two_nodes_at_one_place_are_a_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path, nodes='{ test-1 = "sip:192.0.2.21", test-2 = "SIP:192.0.2.21" }') == [
        'gateway.toml: cluster.nodes.test-2: "SIP:192.0.2.21" is where test-1 is; each has a place of its own'
    ]


def test_a_secret_that_can_be_guessed_is_a_mistake_and_not_told(tmp_path: Path) -> None:
    [told] = mistakes(tmp_path, secret="hunter2")
    assert told == (
        "gateway.toml: cluster.secret_file: its file must hold 16 characters or more: openssl rand -hex 32 makes some"
    )


def test_the_command_prints_it_for_people_and_for_the_proxy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = directory(tmp_path)
    tokens = {node: node_token(SECRET, node) for node in ("test-1", "test-2")}
    code, out, _ = run(capsys, config, "cluster-tokens")
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["test-1", tokens["test-1"], "sip:192.0.2.21"], ["test-2", tokens["test-2"], "sip:192.0.2.22:5062"],
    ]  # fmt: skip
    told = json.loads(run(capsys, config, "cluster-tokens", "--json")[1])
    assert told["nodes"][1] == {"node": "test-2", "token": tokens["test-2"], "uri": "sip:192.0.2.22:5062"}
    table = run(capsys, config, "cluster-tokens", "--format", "nodes")[1]
    assert f'    $sht(node=>{tokens["test-1"]}) = "sip:192.0.2.21";' in table
    places = run(capsys, config, "cluster-tokens", "--format", "dispatcher")[1]
    assert places.splitlines() == ["1 sip:192.0.2.21  # test-1", "1 sip:192.0.2.22:5062  # test-2"]


def test_who_is_alone_has_none_to_print(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, write(tmp_path, MAIN), "cluster-tokens")
    assert (code, out) == (1, "")
    assert "there is no [cluster]" in err


@pytest.mark.parametrize("missing", ["cluster", "mqtt"])
def test_a_shared_limit_needs_others_and_a_way_to_them(tmp_path: Path, missing: str) -> None:
    tables = {
        "mqtt": '[mqtt]\nhost = "192.0.2.1"\n',
        "cluster": f'[cluster]\nsecret_file = "cluster.secret"\nnodes = {NODES}\n',
    }
    shared = MAIN.replace('id = "support"', 'id = "support"\nmax_concurrent = 2\nmax_concurrent_shared = true')
    made = write(tmp_path, shared + "".join(text for name, text in tables.items() if name != missing))
    (made / "cluster.secret").write_text(SECRET)
    with pytest.raises(ConfigError) as found:
        load(made)
    [told] = map(str, found.value.mistakes)
    assert told.startswith("gateway.toml: numbers[main-line].destinations[support].max_concurrent_shared: needs ")
    assert f"needs [{missing}]: the gateways of a cluster tell one another" in told


def test_a_shared_limit_is_a_limit(tmp_path: Path) -> None:
    shared = MAIN.replace('id = "support"', 'id = "support"\nmax_concurrent_shared = true')
    with pytest.raises(ConfigError, match="max_concurrent_shared needs max_concurrent"):
        load(write(tmp_path, shared))


def test_who_tells_of_others_needs_a_broker(tmp_path: Path) -> None:
    made = directory(tmp_path)
    (made / "gateway.toml").write_text((made / "gateway.toml").read_text() + "orphan_after_s = 60.0\n")
    with pytest.raises(ConfigError, match=r"cluster\.orphan_after_s: needs \[mqtt\]"):
        load(made)

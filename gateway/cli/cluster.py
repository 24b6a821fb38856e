# SPDX-License-Identifier: GPL-2.0-or-later
"""The command about the gateways of a cluster: what the proxy in front of them is to know."""

import argparse
import json
from collections.abc import Iterator, Mapping

from gateway.cli.output import print_rows
from gateway.cli.terminal import DONE, FAILED, complain, load_config

DISPATCHER_SET = 1
"""Of the destinations among which Kamailio chooses: the gateways."""


def print_tokens(options: argparse.Namespace) -> int:
    """Each node's token and place: for a person, or as the proxy reads it."""
    cluster = load_config(options).cluster
    if cluster is None:
        complain("this gateway is alone: there is no [cluster] in gateway.toml")
        return FAILED
    match "json" if options.json else options.format:
        case "json":
            nodes = [
                {"node": node, "token": token, "uri": cluster.nodes[node]} for node, token in cluster.tokens.items()
            ]
            print(json.dumps({"nodes": nodes}, indent=2))
        case "nodes":
            print("\n".join(_table_of_nodes(cluster.tokens, cluster.nodes)))
        case "dispatcher":
            print("\n".join(f"{DISPATCHER_SET} {uri}  # {node}" for node, uri in cluster.nodes.items()))
        case _:
            print_rows(
                ("node", "token", "at"), [(node, token, cluster.nodes[node]) for node, token in cluster.tokens.items()]
            )
    return DONE


def _table_of_nodes(tokens: Mapping[str, str], nodes: Mapping[str, str]) -> Iterator[str]:
    yield "# Made by `transfer-gateway cluster-tokens --format nodes`: whose Call-IDs and tags begin so."
    yield "event_route[htable:mod-init] {"
    for node, token in tokens.items():
        yield f'    $sht(node=>{token}) = "{nodes[node]}";  # {node}'
    yield "}"

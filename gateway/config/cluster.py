# SPDX-License-Identifier: GPL-2.0-or-later
"""`[cluster]`: several gateways behind one proxy, and by what each of them is known there."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from gateway.config.fields import UNREAD, HostName, SecretFile, Section, SipUri, Slug
from gateway.config.mistakes import Mistake, did_you_mean
from gateway.config.node_token import node_token

_MAIN = "gateway.toml"
_SHORTEST_SECRET = 16  # characters
_MOST_NODES = 200


def _cluster_secret(secret: SecretStr) -> SecretStr:
    if secret is not UNREAD and len(secret.get_secret_value().strip()) < _SHORTEST_SECRET:
        raise ValueError(f"its file must hold {_SHORTEST_SECRET} characters or more: openssl rand -hex 32 makes some")
    return secret


class ClusterSettings(Section):
    """`[cluster]`: the gateways that share a proxy, each known there by its `instance`."""

    secret_file: Annotated[SecretFile, AfterValidator(_cluster_secret)]
    nodes: Annotated[dict[Slug, SipUri], Field(min_length=1, max_length=_MOST_NODES)]  # where the proxy reaches each
    # How long a gateway may be lost until another tells the outcome of its transfers; None: it does itself, once back.
    orphan_after_s: Annotated[float, Field(strict=True, ge=1, le=86400)] | None = None
    domain: HostName | None = None  # what From and identities name instead of our address

    def token(self, node: str) -> str:
        """What Call-IDs and tags of this node begin with; empty where secrets were not read."""
        return "" if self.secret_file is UNREAD else node_token(self.secret_file.get_secret_value().strip(), node)

    @property
    def tokens(self) -> Mapping[str, str]:
        """Of each node."""
        return {node: self.token(node) for node in self.nodes}


def nodes_of_cluster(cluster: ClusterSettings, instance: str) -> Iterator[Mistake]:
    """A gateway whose proxy would not know it, and two nodes at one place."""
    if instance not in cluster.nodes:
        hint = did_you_mean(instance, cluster.nodes)
        yield Mistake(_MAIN, "cluster.nodes", f'lacks "{instance}", the instance of this gateway; {hint}')
    owners: dict[str, str] = {}
    for node, uri in cluster.nodes.items():
        owner = owners.setdefault(uri.lower(), node)
        if owner != node:
            yield Mistake(_MAIN, f"cluster.nodes.{node}", f'"{uri}" is where {owner} is; each has a place of its own')

# SPDX-License-Identifier: GPL-2.0-or-later
"""What is counted of the requests of platforms, for Prometheus; labels are trunks that have one, and fixed words."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.ports.platform import OTHER, UNPROVED, PlatformResult

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
TOOL_RESULTS = ("available", "unavailable", "listed", "error")
MCP_METHODS = ("server/discover", "initialize", "ping", "tools/list", "tools/call")
MCP_RESULTS = ("answered", "error", "not-proved", "refused")
_BEFORE_PROOF = frozenset(PlatformResult) - {PlatformResult.ANSWERED, PlatformResult.IGNORED}


class PlatformMetrics:
    """A `ports.PlatformObserver`."""

    def __init__(self, registry: CollectorRegistry, kinds: Collection[str] = (), tools: Collection[str] = ()) -> None:
        """`kinds` and `tools`: those that somebody handles; all others are "other"."""
        self._kinds, self._tools = (*kinds, OTHER), (*tools, OTHER)
        self._requests = Counter(
            "transfer_gateway_platform_requests_total", "Requests of platforms.", ("trunk", "type", "result"),
            registry=registry,
        )  # fmt: skip
        self._called = Counter(
            "transfer_gateway_platform_tool_calls_total", "Calls of tools.", ("trunk", "tool", "result"),
            registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "transfer_gateway_platform_answer_seconds", "From a platform's request to its answer.", buckets=_BUCKETS,
            registry=registry,
        )  # fmt: skip
        self._mcp = Counter(
            "transfer_gateway_mcp_requests_total", "Requests of MCP clients.", ("method", "result"), registry=registry
        )
        for method in (*MCP_METHODS, OTHER):
            for came in MCP_RESULTS:
                self._mcp.labels(method, came)
        for result in (PlatformResult.NOT_FOUND, PlatformResult.TOO_MANY):
            self._requests.labels(UNPROVED, UNPROVED, result)
        self._known: set[str] = set()

    def configure(self, trunks: Collection[str]) -> None:
        """Export all that these trunks, which have a platform, can bring about; nothing of any other."""
        for gone in self._known.difference(trunks):
            for labels in self._of(gone):
                self._requests.remove(*labels)
            for tool in self._tools:
                for result in TOOL_RESULTS:
                    self._called.remove(gone, tool, result)
        for new in set(trunks) - self._known:
            for labels in self._of(new):
                self._requests.labels(*labels)
            for tool in self._tools:
                for result in TOOL_RESULTS:
                    self._called.labels(new, tool, result)
        self._known = set(trunks)

    def platform_asked(self, trunk: str, kind: str, result: PlatformResult, seconds: float) -> None:
        """See PlatformObserver."""
        known = trunk in self._known
        shown = kind if known and kind in self._kinds else UNPROVED
        self._requests.labels(trunk if known else UNPROVED, shown, result).inc()
        self._seconds.observe(max(0.0, seconds))

    def mcp_asked(self, method: str, result: str) -> None:
        """A client of the MCP server has asked: which of its methods, or "other", and what came of it."""
        self._mcp.labels(method if method in MCP_METHODS else OTHER, result).inc()

    def tool_called(self, trunk: str, tool: str, result: str) -> None:
        """See PlatformObserver."""
        if trunk in self._known:
            self._called.labels(trunk, tool if tool in self._tools else OTHER, result).inc()

    def _of(self, trunk: str) -> list[tuple[str, str, str]]:
        proved = [(trunk, kind, result) for kind in self._kinds for result in PlatformResult]
        return [*proved, *((trunk, UNPROVED, result) for result in sorted(_BEFORE_PROOF))]

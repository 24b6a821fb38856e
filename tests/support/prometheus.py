# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Prometheus that scrapes the given targets every second, with queries through its HTTP API."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.support.fetch import Programs, programs
from tests.support.processes import Child, eventually, free_port


class Prometheus:
    """One server: `async with Prometheus("127.0.0.1:9470") as prometheus`; `rules` is a file of alerting rules."""

    def __init__(self, *targets: str, rules: Path | None = None, installed: Programs | None = None) -> None:
        self.port = free_port()
        self.installed = installed or programs()
        self.directory = Path(tempfile.mkdtemp(prefix="prometheus-"))
        self._child: Child | None = None
        self._rules = rules
        self.scrape(*targets)

    def scrape(self, *targets: str) -> None:
        """Before the start: scrape these instead, each "host:port"."""
        scrape = {"job_name": "transfer-gateway", "static_configs": [{"targets": list(targets)}]}
        config: dict[str, Any] = {"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}
        if self._rules is not None:
            config["rule_files"] = [str(self._rules)]
        # JSON is YAML.
        (self.directory / "prometheus.yml").write_text(json.dumps(config))

    async def __aenter__(self) -> Self:
        command = [
            *self.installed.command("usr/bin/prometheus"),
            f"--config.file={self.directory}/prometheus.yml",
            f"--storage.tsdb.path={self.directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--enable-feature=exemplar-storage",
        ]
        self._child = Child("prometheus", command, self.directory / "log")

        async def ready() -> bool:
            await self._get("-/ready")
            return True

        await self._child.ready(ready)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._child is not None:
            await self._child.stop()
        shutil.rmtree(self.directory)

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that a PromQL expression yields now, each with `metric` (labels) and `value` ([time, text])."""
        answer = json.loads(await self._get("api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series

    async def query_range(self, expression: str, start: float, end: float, step_s: float) -> list[dict[str, Any]]:
        """The series that it yields over a time, each with `metric` and `values`, pairs of time and text."""
        asked = {"query": expression, "start": start, "end": end, "step": step_s}
        answer = json.loads(await self._get("api/v1/query_range?" + urllib.parse.urlencode(asked)))
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series

    async def exemplars(self, selector: str, start: float, end: float) -> list[dict[str, Any]]:
        """The series with exemplars, each with `seriesLabels` and `exemplars` (labels, value, timestamp)."""
        asked = {"query": selector, "start": start, "end": end}
        answer = json.loads(await self._get("api/v1/query_exemplars?" + urllib.parse.urlencode(asked)))
        series: list[dict[str, Any]] = answer["data"]
        return series

    async def wait_for(self, expression: str, timeout_s: float = 15.0) -> list[dict[str, Any]]:
        """Ask until the expression yields a series. Raises AssertionError."""
        return await eventually(lambda: self.query(expression), expression, timeout_s=timeout_s, every_s=0.1)

    async def _get(self, path: str) -> str:
        def fetch() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=5) as response:
                return str(response.read().decode())

        return await asyncio.to_thread(fetch)

# SPDX-License-Identifier: GPL-2.0-or-later
"""The metrics with their labels, the reasons with their codes, and the commands with their options."""

from __future__ import annotations

import re

from prometheus_client.metrics import MetricWrapperBase

from gateway.core.outcome import CallEnd, Reason
from gateway.report.history.metrics import HistoryMetrics
from gateway.report.metrics import Metrics
from gateway.report.platform_metrics import PlatformMetrics
from gateway.report.webhook_metrics import WebhookMetrics
from scripts.deb.documents import arguments, commands, explained, named
from scripts.website.markdown import code, moved, rows, table

OPERATIONS = "docs/operations.md"


def metrics() -> str:
    """The page of the metrics."""
    every = Metrics(version="0", pjsip="0")
    WebhookMetrics(every.registry)
    HistoryMetrics(every.registry)
    PlatformMetrics(every.registry)
    registered = set(every.registry._collector_to_names)  # noqa: SLF001 - it tells nobody what is registered
    lines = []
    for metric in sorted((one for one in registered if isinstance(one, MetricWrapperBase)), key=lambda one: one._name):  # noqa: SLF001
        [described] = metric.describe()
        name = f"{described.name}_total" if described.type == "counter" else described.name
        labels = ", ".join(code(label) for label in metric._labelnames)  # noqa: SLF001
        lines.append([code(name), described.type, labels, described.documentation])
    return (
        "# Metrics\n\nMade of the code when the site was built. Those of the process (`process_*`) come besides. "
        f"What to alert on is in [Operations](../{OPERATIONS}#what-to-alert-on).\n\n"
        + table(["metric", "type", "labels", ""], lines)
    )


def reasons(operations: str) -> str:
    """The page of the reasons; their meaning is that of docs/operations.md. Raises LookupError."""
    meanings = {cells[0].strip("`"): cells[3] for _, cells in rows(operations, "| reason | ") if len(cells) == 4} | {
        Reason.ACCEPTED.value: ""
    }
    lines = [
        [code(reason), str(reason.sip_code), reason.outcome, moved(meanings[reason], OPERATIONS)] for reason in Reason
    ]
    ends = ", ".join(code(end) for end in CallEnd)
    return (
        "# Reasons\n\nMade of the code when the site was built. What to do about each is in "
        f"[Operations](../{OPERATIONS}#why-was-it-not-transferred).\n\n## Of transfers\n\n"
        + table(["reason", "SIP code", "outcome", ""], lines)
        + f"\n## Of the ends of calls\n\nOne of {ends}; see [Events](../docs/events.md).\n"
    )


def command_line() -> str:
    """The page of the commands."""
    parts = [
        "# Commands\n\nMade of the code when the site was built; `transfer-gateway COMMAND --help` says the same.\n"
    ]
    for name, command in commands().items():
        usage = re.sub(r"\s+", " ", command.format_usage().removeprefix("usage: ")).strip()
        parts.append(f"## {name}\n\n{command.description}\n\n```text\n{usage}\n```\n")
        lines = [[code(named(action)), explained(command, action)] for action in arguments(command)]
        parts.append(table(["", ""], lines))
        examples = [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]
        if examples:
            parts.append("```sh\n" + "\n".join(examples) + "\n```\n")
    return "\n".join(parts)

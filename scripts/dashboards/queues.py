# SPDX-License-Identifier: GPL-2.0-or-later
"""*Queues*: what the gate saw of them, against what became of the callers whom it let pass."""

from scripts.dashboards.panels import COUNT, SECONDS, SHARE, Bars, Figure, Graph, Panel, Query, increase

TITLE = "Queues"
DESCRIPTION = "What the gate saw of the queues, against what became of the callers whom it let pass."
_QUEUE = 'instance=~"$instance",pbx=~"$pbx"'
_OF = 'instance=~"$instance"'


def _by_destination(metric: str, label: str, value: str) -> str:
    return increase(f'@{metric}{{{_OF},{label}="{value}"}}', "$__range", "destination")


_PASSED = _by_destination("gate_decisions_total", "decision", "accept")
_TURNED_AWAY = _by_destination("gate_decisions_total", "decision", "refuse")
_HUMAN = _by_destination("transfer_milestones_total", "milestone", "human")
_ACCEPTED = _by_destination("transfer_milestones_total", "milestone", "accepted")
_REFUSED = f'@gate_decisions_total{{{_OF},decision="refuse"}}'
_LOST = f'@transfers_total{{{_OF},outcome=~"failed|abandoned|interrupted"}}'


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "What the gate sees",
        (
            Graph(
                "Agents free",
                "Agents of a queue who could take a caller now, as the PBX tells. No line: unknown, which is not none.",
                COUNT,
                (Query(f'@queue_agents{{{_QUEUE},state="available"}}', "{{queue}}"),),
            ),
            Graph(
                "Agents by state",
                "All agents of the queues by state: logged in, and of those free, in a call, or in a pause.",
                COUNT,
                (Query(f"sum by (state) (@queue_agents{{{_QUEUE}}} >= 0)", "{{state}}"),),
            ),
            Graph(
                "Callers waiting",
                "Callers who wait in a queue, ours and others'.",
                COUNT,
                (Query(f"@queue_callers_waiting{{{_QUEUE}}}", "{{queue}}"),),
            ),
            Graph(
                "Longest wait",
                "How long the first caller of a queue has waited.",
                SECONDS,
                (Query(f"@queue_longest_wait_seconds{{{_QUEUE}}}", "{{queue}}"),),
                width=12,
            ),
            Graph(
                "Age of what is known",
                "Time since the PBX last proved that what it told of a queue holds. Above 30 s the alert "
                "TransferGatewayQueueStale is near.",
                SECONDS,
                (Query(f"time() - (@queue_snapshot_timestamp_seconds{{{_QUEUE}}} > 0)", "{{queue}}"),),
                width=12,
            ),
        ),
    ),
    (
        "… and what it decides",
        (
            Graph(
                "Decisions",
                "The gate's answers over time.",
                COUNT,
                (
                    Query(
                        increase(f"@gate_decisions_total{{{_OF}}}", "$__rate_interval", "decision"),
                        "{{decision}}",
                    ),
                ),
                stacked=True,
            ),
            Bars(
                "Refused, by reason",
                "Why the gate refused, the most frequent reason first.",
                COUNT,
                (Query(f"sort_desc({increase(_REFUSED, '$__range', 'reason')} > 0)", "{{reason}}"),),
                transfers="reason=${__field.labels.reason}",
            ),
            Bars(
                "Refused, by destination",
                "Which destinations are refused most. Where it is for want of agents: staff them, or tell the "
                "assistant when they work.",
                COUNT,
                (Query(f"sort_desc({_TURNED_AWAY} > 0)", "{{destination}}"),),
                transfers="destination=${__field.labels.destination}&outcome=refused",
            ),
        ),
    ),
    (
        "… against what becomes of them",
        (
            Figure(
                "Let pass, and reached nobody",
                "The share of callers whom the gate let pass and no person took: how often what it saw was not "
                "what they met.",
                SHARE,
                (Query(f"1 - sum({_HUMAN}) / sum({_ACCEPTED})", "reached nobody"),),
                width=6,
                height=8,
            ),
            Bars(
                "Let pass, by destination",
                "Callers whom the gate let pass to a destination.",
                COUNT,
                (Query(f"sort_desc({_PASSED} > 0)", "{{destination}}"),),
                width=6,
            ),
            Bars(
                "… and reached nobody",
                "Of those, the share whom no person took. A queue with free agents stands here when they do "
                "not pick up.",
                SHARE,
                (
                    Query(
                        f"sort_desc(1 - {_HUMAN} / ({_ACCEPTED} > 0))",
                        "{{destination}}",
                    ),
                ),
                width=6,
                transfers="destination=${__field.labels.destination}&outcome=failed",
            ),
            Bars(
                "… because",
                "What became of those whom the gate let pass and no person took.",
                COUNT,
                (
                    Query(
                        f"sort_desc({increase(_LOST, '$__range', 'outcome, reason')} > 0)",
                        "{{outcome}}: {{reason}}",
                    ),
                ),
                width=6,
                transfers="reason=${__field.labels.reason}",
            ),
        ),
    ),
)

# SPDX-License-Identifier: GPL-2.0-or-later
"""*Gateway*: is it well, and are those well whom it talks to."""

from scripts.dashboards.panels import BYTES, COUNT, RATE, SECONDS, UP, Bars, Figure, Graph, Panel, Query, increase

TITLE = "Gateway"
DESCRIPTION = "Is the gateway well, and are the trunks, PBXs, broker and webhooks that it talks to?"
_OF = 'instance=~"$instance"'
_DAY_S = 86_400.0


def _since(moment: str, legend: str) -> Query:
    """How long ago a moment was; 0 where it is 0, which says that nothing waits."""
    return Query(f"(time() - {moment}{{{_OF}}}) * ({moment}{{{_OF}}} > bool 0)", legend)


def _quantile(share: str, metric: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate(@{metric}_bucket{{{_OF}}}[$__rate_interval])))"


def _times(title: str, description: str, metric: str) -> Graph:
    shares = (("0.5", "median"), ("0.95", "95 %"), ("0.99", "99 %"))
    queries = tuple(Query(_quantile(share, metric), name, exemplars=share == "0.99") for share, name in shares)
    return Graph(title, description, SECONDS, queries)


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Is it there",
        (
            Figure(
                "Gateway",
                "Whether Prometheus reaches it.",
                COUNT,
                (Query(f"up{{{_OF}}}", "{{instance}}"),),
                words=UP,
                width=6,
            ),
            Figure(
                "Trunks",
                "Whether each trunk answers; unknown: it is neither registered with nor asked.",
                COUNT,
                (Query(f"@trunk_up{{{_OF}}}", "{{trunk}}"),),
                words=UP,
                width=6,
            ),
            Figure(
                "PBX",
                "Whether the state of each PBX is known.",
                COUNT,
                (Query(f"@pbx_up{{{_OF}}}", "{{pbx}}"),),
                words=UP,
                width=6,
            ),
            Figure(
                "Broker",
                "Whether the broker is there; unknown: none is configured.",
                COUNT,
                (Query(f"@mqtt_connected{{{_OF}}}", "{{instance}}"),),
                words=UP,
                width=6,
            ),
            Figure(
                "Webhooks",
                "Whether each webhook took the last event that it was sent; up before the first.",
                COUNT,
                (Query(f"@webhook_up{{{_OF}}}", "{{webhook}}"),),
                words=UP,
                width=6,
            ),
            Figure(
                "Disk",
                "Whether the outbox and the history can be written.",
                COUNT,
                (Query(f"@outbox_writable{{{_OF}}}", "outbox"), Query(f"@history_writable{{{_OF}}}", "history")),
                words={"0": ("refuses", "red"), "1": ("takes", "green")},
                width=6,
            ),
            Figure(
                "Configuration",
                "Whether the last reload was taken.",
                COUNT,
                (Query(f"@config_last_reload_successful{{{_OF}}}", "{{instance}}"),),
                words={"0": ("refused", "red"), "1": ("in force", "green")},
                width=6,
            ),
            Figure(
                "Version",
                "The release that runs, with its PJSIP.",
                COUNT,
                (Query(f"@build_info{{{_OF}}}", "{{version}}, PJSIP {{pjsip}}"),),
                words={"1": ("runs", "blue")},
                width=6,
            ),
        ),
    ),
    (
        "Calls and how fast it answers",
        (
            Graph(
                "Calls", "Calls under way.", COUNT, (Query(f"@calls_in_progress{{{_OF}}}", "{{instance}}"),), width=12
            ),
            Graph(
                "Conversations that ended",
                "By reason. `rtp-timeout` and `peer-gone`: nobody hung up; a network loses media or signalling.",
                COUNT,
                (Query(increase(f"@calls_ended_total{{{_OF}}}", "$__rate_interval", "reason"), "{{reason}}"),),
                width=12,
                stacked=True,
            ),
            _times(
                "REFER answered",
                "From a REFER to its response. From 0.5 s on the sender repeats it.",
                "refer_response_seconds",
            ),
            _times("Target set up", "From our INVITE to the PBX's first 18x or 2xx.", "target_setup_seconds"),
            _times("Target rings", "From ringing to the PBX's answer.", "target_ring_seconds"),
            Graph(
                "Calls after a kill",
                "Calls that were up at a kill, by whether the gateway has taken them up again (`recover_calls`).",
                COUNT,
                (Query(increase(f"@calls_recovered_total{{{_OF}}}", "$__rate_interval", "result"), "{{result}}"),),
                width=24,
            ),
        ),
    ),
    (
        "Events",
        (
            Graph(
                "Outbox",
                "Events that wait for the broker, such as it refused, and such as the disk refuses.",
                COUNT,
                (
                    Query(f"@outbox_events{{{_OF}}}", "waiting"),
                    Query(f"@outbox_refused_events{{{_OF}}}", "refused by the broker"),
                    Query(f"@outbox_unwritten{{{_OF}}}", "in memory alone"),
                ),
                width=6,
            ),
            Graph(
                "Oldest event",
                "How long the oldest event has waited for the broker, and for each webhook; 0: none waits.",
                SECONDS,
                (
                    _since("@outbox_oldest_timestamp_seconds", "{{instance}}: broker"),
                    _since("@webhook_oldest_timestamp_seconds", "{{instance}}: {{webhook}}"),
                ),
                width=6,
            ),
            Graph(
                "Deliveries to webhooks that wait",
                "Events that each webhook has yet to be sent, and such as it refused, which are set aside.",
                COUNT,
                (
                    Query(f"@webhook_events{{{_OF}}}", "{{webhook}}: waiting"),
                    Query(f"@webhook_refused_events{{{_OF}}}", "{{webhook}}: refused"),
                ),
                width=6,
            ),
            Graph(
                "Requests to webhooks",
                "What receivers answered, by webhook and result.",
                RATE,
                (
                    Query(
                        f"sum by (webhook, result) (rate(@webhook_requests_total{{{_OF}}}[$__rate_interval]))",
                        "{{webhook}}: {{result}}",
                    ),
                ),
                width=6,
            ),
        ),
    ),
    (
        "The history, and certificates",
        (
            Graph(
                "History",
                "Transfers and calls that are over and can be asked for.",
                COUNT,
                (Query(f"sum by (kind) (@history_rows{{{_OF}}})", "{{kind}}s"),),
                width=6,
            ),
            Graph(
                "Size of the history",
                "What it takes up on disk; `max_mb` of [history] is its bound.",
                BYTES,
                (Query(f"@history_bytes{{{_OF}}}", "{{instance}}"),),
                width=6,
            ),
            Graph(
                "Deleted from the history",
                "What its limits deleted. age: its days were over. size: there was no room, and reports reach back "
                "less far than `days` says.",
                COUNT,
                (Query(increase(f"@history_deleted_total{{{_OF}}}", "$__rate_interval", "why"), "{{why}}"),),
                width=6,
                stacked=True,
            ),
            Bars(
                "Certificates end in",
                "How long each certificate and authority that the configuration names is good for, by its key. Yellow: "
                "less than two weeks. No data: none is named.",
                SECONDS,
                (Query(f"sort(@certificate_expires_timestamp_seconds{{{_OF}}} - time())", "{{key}}"),),
                width=6,
                steps=((None, "red"), (2 * _DAY_S, "yellow"), (14 * _DAY_S, "green")),
            ),
        ),
    ),
    (
        "The machine",
        (
            Graph(
                "Event loop",
                "How late the event loop runs what is due, 99th percentile and median. Above 0.1 s the machine "
                "is too slow.",
                SECONDS,
                (
                    Query(_quantile("0.99", "event_loop_lag_seconds"), "99 %"),
                    Query(_quantile("0.5", "event_loop_lag_seconds"), "median"),
                ),
                width=6,
            ),
            Graph(
                "Processor",
                "Processors that the gateway keeps busy.",
                COUNT,
                (
                    Query(
                        f'rate(process_cpu_seconds_total{{{_OF},job="transfer-gateway"}}[$__rate_interval])',
                        "{{instance}}",
                    ),
                ),
                width=6,
            ),
            Graph(
                "Memory",
                "Memory that the gateway holds.",
                BYTES,
                (Query(f'process_resident_memory_bytes{{{_OF},job="transfer-gateway"}}', "{{instance}}"),),
                width=6,
            ),
            Graph(
                "Descriptors",
                "Open files and sockets, and how many the system allows.",
                COUNT,
                (
                    Query(f'process_open_fds{{{_OF},job="transfer-gateway"}}', "open"),
                    Query(f'process_max_fds{{{_OF},job="transfer-gateway"}}', "allowed"),
                ),
                width=6,
            ),
        ),
    ),
    (
        "Strangers and media",
        (
            Graph(
                "Requests rejected",
                "Requests that became neither a call nor a transfer. `peer-not-allowed`: strangers, or "
                "`addresses` of a profile is incomplete.",
                COUNT,
                (
                    Query(
                        increase(f"@requests_rejected_total{{{_OF}}}", "$__rate_interval", "reason"),
                        "{{reason}}",
                    ),
                ),
                stacked=True,
            ),
            Graph(
                "Media relayed or bridged",
                "Legs with a partner, by the way that their audio takes and why. A call on the bridge costs several "
                "times as much, and 20 ms: `another-codec` goes away where both profiles list the same codecs. "
                "`both-g711`, A-law to µ-law, is relayed and costs no more than `same-codec`.",
                COUNT,
                (Query(f"sum by (path, reason) (@media_legs{{{_OF}}})", "{{path}}, {{reason}}"),),
                stacked=True,
            ),
            Graph(
                "Media from elsewhere",
                "Packets of audio (rtp) and reports (rtcp) that came from elsewhere than a call's peer, and "
                "were dropped.",
                COUNT,
                (
                    Query(
                        increase(f"@media_packets_dropped_total{{{_OF}}}", "$__rate_interval", "kind"),
                        "{{kind}}",
                    ),
                ),
                stacked=True,
            ),
            Graph(
                "Waits for a restart",
                "Keys and secret files of the configuration that take a restart.",
                COUNT,
                (Query(f"@config_restart_needed{{{_OF}}}", "{{instance}}"),),
            ),
        ),
    ),
)

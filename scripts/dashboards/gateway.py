# SPDX-License-Identifier: GPL-2.0-or-later
"""*Gateway*: is it well, and are those well whom it talks to."""

from scripts.dashboards.panels import BYTES, COUNT, RATE, SECONDS, UP, Figure, Graph, Panel, Query

TITLE = "Gateway"
DESCRIPTION = "Is the gateway well, and are the trunks, PBXs, broker and webhooks that it talks to?"
_OF = 'instance=~"$instance"'


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
                "Gateway", "Whether Prometheus reaches it.", COUNT, (Query(f"up{{{_OF}}}", "{{instance}}"),), words=UP
            ),
            Figure(
                "Trunks",
                "Whether each trunk answers; unknown: it is neither registered with nor asked.",
                COUNT,
                (Query(f"@trunk_up{{{_OF}}}", "{{trunk}}"),),
                words=UP,
            ),
            Figure(
                "PBX",
                "Whether the state of each PBX is known.",
                COUNT,
                (Query(f"@pbx_up{{{_OF}}}", "{{pbx}}"),),
                words=UP,
            ),
            Figure(
                "Broker",
                "Whether the broker is there; unknown: none is configured.",
                COUNT,
                (Query(f"@mqtt_connected{{{_OF}}}", "{{instance}}"),),
                words=UP,
            ),
            Figure(
                "Configuration",
                "Whether the last reload was taken.",
                COUNT,
                (Query(f"@config_last_reload_successful{{{_OF}}}", "{{instance}}"),),
                words={"0": ("refused", "red"), "1": ("in force", "green")},
            ),
            Figure(
                "Version",
                "The release that runs, with its PJSIP.",
                COUNT,
                (Query(f"@build_info{{{_OF}}}", "{{version}}, PJSIP {{pjsip}}"),),
                words={"1": ("runs", "blue")},
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
                (Query(f"sum by (reason) (increase(@calls_ended_total{{{_OF}}}[$__rate_interval]))", "{{reason}}"),),
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
            ),
            Graph(
                "Oldest event",
                "How long the oldest event has waited for the broker; 0: none waits.",
                SECONDS,
                (
                    Query(
                        f"(time() - @outbox_oldest_timestamp_seconds{{{_OF}}}) * "
                        f"(@outbox_oldest_timestamp_seconds{{{_OF}}} > bool 0)",
                        "{{instance}}",
                    ),
                ),
            ),
            Graph(
                "Webhooks",
                "What receivers answered, by webhook and result.",
                RATE,
                (
                    Query(
                        f"sum by (webhook, result) (rate(@webhook_requests_total{{{_OF}}}[$__rate_interval]))",
                        "{{webhook}}: {{result}}",
                    ),
                    Query(f"@webhook_events{{{_OF}}}", "{{webhook}}: waiting"),
                ),
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
                        f"sum by (reason) (increase(@requests_rejected_total{{{_OF}}}[$__rate_interval]))",
                        "{{reason}}",
                    ),
                ),
                stacked=True,
            ),
            Graph(
                "Media from elsewhere",
                "Packets of audio (rtp) and reports (rtcp) that came from elsewhere than a call's peer, and "
                "were dropped.",
                COUNT,
                (
                    Query(
                        f"sum by (kind) (increase(@media_packets_dropped_total{{{_OF}}}[$__rate_interval]))",
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

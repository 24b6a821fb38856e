# SPDX-License-Identifier: GPL-2.0-or-later
"""*Transfers*: did those who asked for a person reach one, how soon, and if not, why."""

from scripts.dashboards.panels import (
    COUNT,
    SECONDS,
    SHARE,
    WIDE,
    Bars,
    Figure,
    Graph,
    Grid,
    Heat,
    Panel,
    Query,
    increase,
)

TITLE = "Transfers"
DESCRIPTION = "Did those who asked for a person reach one, how soon, and if not, why?"
_OF = 'instance=~"$instance",number=~"$number"'


def _came_to(milestone: str, window: str = "$__range", by: str = "") -> str:
    return increase(f'@transfer_milestones_total{{{_OF},milestone="{milestone}"}}', window, by)


def _human(share: str, window: str = "$__range") -> str:
    bucket = f'sum by (le) (rate(@time_to_human_seconds_bucket{{instance=~"$instance"}}[{window}]))'
    return f"histogram_quantile({share}, {bucket})"


_STEPS = (
    ("requested", "asked"),
    ("accepted", "accepted"),
    ("ringing", "rang"),
    ("answered", "answered"),
    ("human", "person"),
)
_WITHIN = '@time_to_human_seconds_bucket{instance=~"$instance",le="180.0"}'
_TAKEN = '@time_to_human_seconds_count{instance=~"$instance"}'
_PROMISED = f'@platform_calls_total{{{_OF},promise=~"broken|unclear"}}'
_NOT_COMPLETED = f'@transfers_total{{{_OF},outcome!="completed"}}'

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "From the question to a person",
        (
            Figure(
                "Reached a person",
                "Of those who asked, the share whom a person took.",
                SHARE,
                (Query(f"{_came_to('human')} / {_came_to('requested')}", "of those who asked"),),
            ),
            Figure(
                "… of those accepted",
                "Of those whom the gate let pass, the share whom a person took. The alert "
                "TransferGatewayPersonNotReached watches it.",
                SHARE,
                (Query(f"{_came_to('human')} / {_came_to('accepted')}", "of those accepted"),),
            ),
            Figure(
                "Within three minutes",
                "Of those who reached a person, the share who did so within 180 s of asking.",
                SHARE,
                (Query(f"{increase(_WITHIN, '$__range')} / {increase(_TAKEN, '$__range')}", "within 180 s"),),
            ),
            Figure(
                "Time to a person, median",
                "Half of those who reached a person waited no longer, from their question on.",
                SECONDS,
                (Query(_human("0.5"), "median"),),
            ),
            Figure(
                "Time to a person, 95 %",
                "95 % of those who reached a person waited no longer, from their question on.",
                SECONDS,
                (Query(_human("0.95"), "95 %"),),
            ),
            Figure(
                "Under way",
                "Transfers at this moment: dialling, ringing, being joined, or waiting for a person.",
                COUNT,
                (Query('sum(@transfers_in_progress{instance=~"$instance"})', "under way"),),
            ),
        ),
    ),
    (
        "What became of them",
        (
            Bars(
                "Funnel",
                "How many transfers were asked for, and how far they came: accepted by the gate, rung at a "
                "destination, answered "
                "by the PBX, taken by a person. Each step counts for all before it; what is under way counts "
                "when it ends.",
                COUNT,
                tuple(Query(_came_to(milestone), name) for milestone, name in _STEPS),
            ),
            Graph(
                "Outcomes",
                "Transfers that ended, by outcome.",
                COUNT,
                (
                    Query(
                        increase(f"@transfers_total{{{_OF}}}", "$__rate_interval", "outcome"),
                        "{{outcome}}",
                        exemplars=True,
                    ),
                ),
                stacked=True,
                transfers="outcome=${__field.labels.outcome}",
            ),
            Bars(
                "Why not",
                "Transfers that were not completed, by reason, over the whole of the time, the most frequent first. "
                "docs/operations.md says what each means.",
                COUNT,
                (Query(f"sort_desc({increase(_NOT_COMPLETED, '$__range', 'reason')} > 0)", "{{reason}}"),),
                transfers="reason=${__field.labels.reason}",
            ),
            Graph(
                "Why not, over time",
                "The same, as it happened.",
                COUNT,
                (
                    Query(
                        f"{increase(_NOT_COMPLETED, '$__rate_interval', 'reason')} > 0",
                        "{{reason}}",
                        exemplars=True,
                    ),
                ),
                stacked=True,
                transfers="reason=${__field.labels.reason}",
                width=6,
            ),
            Graph(
                "Promised, and never asked for",
                "Calls of the voice platform whose assistant promised a transfer that was never asked for (broken), or "
                "of which that cannot be told (unclear). Zero where no platform tells of its calls.",
                COUNT,
                (
                    Query(
                        increase(_PROMISED, "$__rate_interval", "promise"),
                        "{{promise}}",
                    ),
                ),
                stacked=True,
                width=6,
            ),
            Heat(
                "How long it took to reach a person",
                "Those who reached a person, by how long it took from their question on. A dot is a transfer: "
                "it leads to its trail.",
                SECONDS,
                (
                    Query(
                        increase('@time_to_human_seconds_bucket{instance=~"$instance"}', "$__rate_interval", "le"),
                        "{{le}}",
                        exemplars=True,
                    ),
                ),
                width=6,
            ),
            Graph(
                "Time to a person",
                "Median and 95th percentile of the time from the question to a person.",
                SECONDS,
                (
                    Query(_human("0.5", "$__rate_interval"), "median", exemplars=True),
                    Query(_human("0.95", "$__rate_interval"), "95 %"),
                ),
                width=6,
            ),
        ),
    ),
    (
        "By number, destination and hour",
        (
            Grid(
                "By destination",
                "For each destination how many were asked for, accepted, rung, answered and taken by a person. "
                "`unknown` is what is no destination of ours.",
                COUNT,
                tuple(Query(_came_to(milestone, by="destination"), name) for milestone, name in _STEPS),
                width=12,
                by="destination",
                transfers="destination=${__data.fields.destination}",
            ),
            Grid(
                "By number",
                "The same for each assigned number.",
                COUNT,
                tuple(Query(_came_to(milestone, by="number"), name) for milestone, name in _STEPS),
                width=12,
                by="number",
                transfers="number=${__data.fields.number}",
            ),
            Bars(
                "Time to a person by destination, 95 %",
                "Where callers wait longest: 95 % of those whom a person took there waited no longer.",
                SECONDS,
                (
                    Query(
                        "histogram_quantile(0.95, sum by (le, destination) "
                        '(rate(@destination_time_to_human_seconds_bucket{instance=~"$instance"}[$__range]))) >= 0',
                        "{{destination}}",
                    ),
                ),
                width=12,
                transfers="destination=${__field.labels.destination}",
            ),
            Graph(
                "By hour",
                "Of each hour: how many asked, and how many reached a person.",
                COUNT,
                (
                    Query(_came_to("requested", "1h"), "asked"),
                    Query(_came_to("human", "1h"), "reached a person"),
                ),
                width=12,
            ),
            Graph(
                "Stages",
                "Transfers under way, by what they are waiting for.",
                COUNT,
                (Query('sum by (stage) (@transfers_in_progress{instance=~"$instance"})', "{{stage}}"),),
                width=WIDE,
                stacked=True,
            ),
        ),
    ),
)

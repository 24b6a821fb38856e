# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a caller can't be put through, as a sentence that an assistant can speak, in the caller's language.

A sentence names the destination as callers know it, and the time it opens again by the clock of its own zone. What is
nobody's business but the operator's (a forbidden target, a PBX at fault) is told in general words.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.core.outcome import Reason

_NOTHING_TO_TELL = (Reason.ACCEPTED, Reason.ANSWERED, Reason.CALLER_HUNG_UP)


@dataclass(frozen=True, slots=True)
class _Language:
    phrases: Mapping[Reason, str]  # with {name}
    timed: Mapping[Reason, str]  # where a time is known: with {name} and {time}
    impossible: str  # when it can't be said what was meant
    today: str  # moments; with {clock}, {weekday}, {day}, {month}
    tomorrow: str
    this_week: str
    later: str
    minute: str  # times to wait; with {minutes}
    minutes: str
    weekdays: tuple[str, ...]
    months: tuple[str, ...]


def sentence(
    reason: Reason,
    locale: str,
    *,
    name: str | None,
    now: datetime,
    opens_at: datetime | None = None,
    wait_s: float | None = None,
) -> str | None:
    """The sentence for a refusal or a failure; None: there is nothing to tell the caller.

    `name` is the destination's spoken name; None: it is not known what was meant. `opens_at` is in the zone of its
    hours, `wait_s` the expected wait. Raises KeyError for a locale that is not among `LOCALES`.
    """
    language = LOCALES[locale]
    if reason in _NOTHING_TO_TELL:
        return None
    time = None
    if opens_at is not None:
        time = _moment(language, opens_at, now.astimezone(opens_at.tzinfo))
    elif wait_s is not None:
        minutes = max(1, math.ceil(wait_s / 60))
        time = language.minute if minutes == 1 else language.minutes.format(minutes=minutes)
    phrases = language.phrases if time is None else {**language.phrases, **language.timed}
    phrase = phrases.get(reason, language.impossible)
    if name is None and "{name}" in phrase:
        phrase = language.impossible
    text = phrase.format(name=name, time=time)
    return text[0].upper() + text[1:]


def _moment(language: _Language, moment: datetime, now: datetime) -> str:
    match (moment.date() - now.date()).days:
        case 0:
            form = language.today
        case 1:
            form = language.tomorrow
        case days if days < 7:
            form = language.this_week
        case _:
            form = language.later
    weekday, month = language.weekdays[moment.weekday()], language.months[moment.month - 1]
    return form.format(clock=f"{moment:%H:%M}", weekday=weekday, day=moment.day, month=month)


_ENGLISH = _Language(
    phrases={
        Reason.OUTSIDE_HOURS: "{name} is closed.",
        Reason.HOLIDAY: "{name} is closed today.",
        Reason.QUEUE_UNSTAFFED: "nobody is available at {name} right now.",
        Reason.QUEUE_UNKNOWN: "{name} can't be reached right now.",
        Reason.WAIT_TOO_LONG: "the wait for {name} is too long right now.",
        Reason.AGENTS_BUSY: "everybody at {name} is busy right now.",
        Reason.QUEUE_FULL: "too many callers are waiting for {name} right now.",
        Reason.AT_CAPACITY: "{name} can't take any more calls right now.",
        Reason.TRANSFER_PENDING: "a transfer is already under way.",
        Reason.BUSY: "{name} is busy right now.",
        Reason.NO_ANSWER: "nobody answers at {name}.",
        Reason.VOICEMAIL: "nobody answers at {name}.",
        Reason.PLACE_KEPT: "nobody at {name} is free yet; the place in the queue is kept for now.",
        Reason.DECLINED: "{name} can't take the call right now.",
        Reason.UNREACHABLE: "{name} can't be reached right now.",
        Reason.ADDRESS_INCOMPLETE: "{name} can't be reached right now.",
        Reason.NOT_ACCEPTABLE: "{name} can't be reached right now.",
        Reason.PBX_ERROR: "{name} can't be reached right now.",
        Reason.GATEWAY_STOPPED: "{name} can't be reached right now.",
        Reason.CANCELLED: "the transfer was cancelled.",
        Reason.CALLER_WITHHELD: "your number is withheld, so nobody can call you back.",
        Reason.CALLER_UNREACHABLE: "you could not be reached when {name} called you back.",
        Reason.EXPIRED: "nobody at {name} was free in time to call you back.",
        Reason.CLOSED: "{name} is closed.",
        Reason.GATEWAY_ERROR: "{name} can't be reached right now.",
    },
    timed={
        Reason.OUTSIDE_HOURS: "{name} is closed until {time}.",
        Reason.HOLIDAY: "{name} is closed today, until {time}.",
        Reason.WAIT_TOO_LONG: "the wait for {name} is about {time}, which is too long.",
        Reason.PLACE_KEPT: "somebody at {name} will be free in about {time}; the place in the queue is kept for now.",
    },
    impossible="this call can't be transferred there.",
    today="{clock}",
    tomorrow="tomorrow at {clock}",
    this_week="{weekday} at {clock}",
    later="{weekday} {day} {month} at {clock}",
    minute="a minute",
    minutes="{minutes} minutes",
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    months=(
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
)
_DUTCH = _Language(
    phrases={
        Reason.OUTSIDE_HOURS: "{name} is gesloten.",
        Reason.HOLIDAY: "{name} is vandaag gesloten.",
        Reason.QUEUE_UNSTAFFED: "bij {name} is op dit moment niemand aanwezig.",
        Reason.QUEUE_UNKNOWN: "{name} is op dit moment niet bereikbaar.",
        Reason.WAIT_TOO_LONG: "de wachttijd voor {name} is op dit moment te lang.",
        Reason.AGENTS_BUSY: "bij {name} is op dit moment iedereen in gesprek.",
        Reason.QUEUE_FULL: "er wachten op dit moment te veel bellers op {name}.",
        Reason.AT_CAPACITY: "{name} kan op dit moment geen gesprekken meer aannemen.",
        Reason.TRANSFER_PENDING: "er wordt al doorverbonden.",
        Reason.BUSY: "{name} is op dit moment in gesprek.",
        Reason.NO_ANSWER: "bij {name} neemt niemand op.",
        Reason.VOICEMAIL: "bij {name} neemt niemand op.",
        Reason.PLACE_KEPT: "bij {name} is nog niemand vrij; de plaats in de wachtrij blijft voorlopig behouden.",
        Reason.DECLINED: "{name} kan het gesprek op dit moment niet aannemen.",
        Reason.UNREACHABLE: "{name} is op dit moment niet bereikbaar.",
        Reason.ADDRESS_INCOMPLETE: "{name} is op dit moment niet bereikbaar.",
        Reason.NOT_ACCEPTABLE: "{name} is op dit moment niet bereikbaar.",
        Reason.PBX_ERROR: "{name} is op dit moment niet bereikbaar.",
        Reason.GATEWAY_STOPPED: "{name} is op dit moment niet bereikbaar.",
        Reason.CANCELLED: "het doorverbinden is afgebroken.",
        Reason.CALLER_WITHHELD: "uw nummer is afgeschermd, daarom kan niemand u terugbellen.",
        Reason.CALLER_UNREACHABLE: "u was niet bereikbaar toen {name} u terugbelde.",
        Reason.EXPIRED: "bij {name} was niemand op tijd vrij om u terug te bellen.",
        Reason.CLOSED: "{name} is gesloten.",
        Reason.GATEWAY_ERROR: "{name} is op dit moment niet bereikbaar.",
    },
    timed={
        Reason.OUTSIDE_HOURS: "{name} is gesloten tot {time}.",
        Reason.HOLIDAY: "{name} is vandaag gesloten, tot {time}.",
        Reason.WAIT_TOO_LONG: "de wachttijd voor {name} is ongeveer {time}, dat is te lang.",
        Reason.PLACE_KEPT: (
            "bij {name} is over ongeveer {time} iemand vrij; de plaats in de wachtrij blijft voorlopig behouden."
        ),
    },
    impossible="daarheen kan niet worden doorverbonden.",
    today="{clock} uur",
    tomorrow="morgen {clock} uur",
    this_week="{weekday} {clock} uur",
    later="{weekday} {day} {month} {clock} uur",
    minute="een minuut",
    minutes="{minutes} minuten",
    weekdays=("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"),
    months=(
        *("januari", "februari", "maart", "april", "mei", "juni"),
        *("juli", "augustus", "september", "oktober", "november", "december"),
    ),
)
LOCALES: Mapping[str, _Language] = {"en": _ENGLISH, "nl": _DUTCH}
"""The languages a sentence can be in, by ISO 639-1 code."""

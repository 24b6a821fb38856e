# SPDX-License-Identifier: GPL-2.0-or-later
"""From what the files say to the values that the core decides with."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache

from gateway.config.settings import DestinationSettings, GatewaySettings, HoursSettings, NumberSettings
from gateway.config.sounds import Sound, spelling
from gateway.core.hours import Schedule, complement
from gateway.core.model import Announcement, AssignedNumber, CallBack, Destination, Spelling, WhisperWord
from gateway.core.outcome import Reason

_YEARS_AHEAD = 3  # calendars are worked out for these at the start; for later ones when first asked for


def schedule(name: str, hours: HoursSettings) -> Schedule:
    """The schedule that an `[hours.<name>]` table means."""
    return Schedule(
        id=name,
        time_zone=hours.time_zone,
        weekly=hours.weekly.by_weekday(),
        closed=frozenset(hours.closed),
        holiday=_calendar(hours.holidays) if hours.holidays else lambda _day: None,
        special=dict(hours.open),
    )


def assigned_number(
    number: NumberSettings, schedules: Mapping[str, Schedule], gateway: GatewaySettings, carriers: Collection[str] = ()
) -> AssignedNumber:
    """The assigned number that a `[[numbers]]` table means; `carriers` are the profiles of that kind."""
    return AssignedNumber(
        id=number.id,
        number=number.number,
        trunk=number.trunk,
        pbx=number.pbx,
        destinations={
            each.id: _destination(each, number.pbx, carriers, schedules, _spelling(each, number, gateway))
            for each in number.destinations
        },
        answer=number.answer,
        fallback=number.fallback,
        country=gateway.default_country,
        locale=number.locale or gateway.locale,
        assistant=None if number.assistant is None else number.assistant.document,
        total_ring=None if number.total_ring_s is None else timedelta(seconds=number.total_ring_s),
    )


def _destination(
    settings: DestinationSettings,
    pbx: str,
    carriers: Collection[str],
    schedules: Mapping[str, Schedule],
    spelled_by: Spelling | None,
) -> Destination:
    return Destination(
        id=settings.id,
        extension=settings.extension,
        number=settings.number,
        aliases=settings.aliases,
        description=settings.description,
        message=settings.message,
        queue=settings.queue,
        hours=_hours(settings.hours, schedules) if settings.hours else None,
        min_available=settings.min_available,
        max_waiting=settings.max_waiting,
        max_wait=None if settings.max_wait_s is None else timedelta(seconds=settings.max_wait_s),
        max_concurrent=settings.max_concurrent,
        max_concurrent_shared=settings.max_concurrent_shared,
        when_unknown=settings.when_unknown,
        ring_timeout=timedelta(seconds=settings.ring_timeout_s),
        overflow=settings.overflow,
        name=settings.name,
        group=settings.group,
        max_penalty=settings.max_penalty,
        wrap_up=timedelta(seconds=settings.wrap_up_s),
        overflow_on=frozenset(Reason(failure) for failure in settings.overflow_on),
        announcement=announcement(settings.announcement, before=settings.announce == "before-dialling"),
        digits=settings.digits,
        voicemail=settings.voicemail,
        whisper=tuple(_whispered(part) for part in settings.whisper),
        spelling=spelled_by,
        accept=settings.accept,
        decline=settings.decline,
        accept_timeout=timedelta(seconds=settings.accept_timeout_s),
        while_waiting=settings.while_waiting,
        hold_place=timedelta(seconds=settings.hold_place_s),
        pbx=settings.pbx or pbx,
        outside=settings.pbx in carriers,
        call_back=_call_back(settings, settings.callback_pbx or settings.pbx or pbx),
    )


def _call_back(settings: DestinationSettings, pbx: str) -> CallBack | None:
    if not settings.callback_prefixes:
        return None
    return CallBack(
        pbx=pbx,
        prefixes=settings.callback_prefixes,
        within=timedelta(seconds=settings.callback_within_s),
        attempts=settings.callback_attempts,
        retry=timedelta(seconds=settings.callback_retry_s),
        ring=timedelta(seconds=settings.callback_ring_s),
        per_hour=settings.callback_per_hour,
    )


def _spelling(settings: DestinationSettings, number: NumberSettings, gateway: GatewaySettings) -> Spelling | None:
    if WhisperWord.CALLER_NUMBER not in settings.whisper:
        return None
    return spelling(settings.whisper_locale or number.locale or gateway.locale, gateway.default_country)


def _whispered(part: Sound | WhisperWord) -> Announcement | WhisperWord:
    return part if isinstance(part, WhisperWord) else part.announced()


def _hours(name: str, schedules: Mapping[str, Schedule]) -> Schedule:
    named = schedules[name.removeprefix("!")]
    return complement(named) if name.startswith("!") else named


def announcement(sound: Sound | None, *, before: bool) -> Announcement | None:
    """What a caller hears; `before`: to its end, before anything is dialled."""
    return None if sound is None else sound.announced(before=before)


def _calendar(place: str) -> Callable[[date], str | None]:
    """The name of a day's holiday. The first that is asked for takes some 0.3 s: the calendars are loaded then."""

    @cache
    def calendar() -> Mapping[date, str]:
        import holidays  # noqa: PLC0415 - see above

        country, _, subdivision = place.partition("-")
        this_year = datetime.now(UTC).year
        # In the country's own language: without one, names would come in that of the process' locale.
        language = holidays.country_holidays(country).default_language
        return holidays.country_holidays(
            country, subdiv=subdivision or None, years=range(this_year, this_year + _YEARS_AHEAD), language=language
        )

    return lambda day: calendar().get(day)

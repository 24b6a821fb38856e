# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be right between the listener for platforms, their trunks and the assistants of numbers."""

from collections.abc import Collection, Iterator, Mapping

from gateway.config.fields import addresses_meet
from gateway.config.mistakes import Mistake
from gateway.config.profiles import PbxProfile, TrunkProfile
from gateway.config.settings import HttpSettings, NumberSettings, PlatformSettings, SipSettings
from gateway.core.numbers import TargetError, parse_target

MAIN = "gateway.toml"


def ports_of_platform(platform: PlatformSettings, sip: SipSettings, http: HttpSettings) -> Iterator[Mistake]:
    """Ports that the listener shares with another one."""
    others = (
        ("http.port", http.bind_address, http.port),
        ("sip.tcp_port", sip.bind_address, sip.tcp_port),
        ("sip.tls_port", sip.bind_address, sip.tls_port),
    )
    for key, address, port in others:
        if port == platform.port and addresses_meet(address, platform.bind_address):
            yield Mistake(MAIN, "platform.port", f"{port} is {key} on the same address; give it one of its own")


def unheard_platforms(profiles: Mapping[str, TrunkProfile | PbxProfile]) -> Iterator[Mistake]:
    """Platforms that would ask where nobody listens."""
    for name, profile in profiles.items():
        if isinstance(profile, TrunkProfile) and profile.platform is not None:
            problem = f"nobody listens for its requests; set [platform] in {MAIN}, or leave it out here"
            yield Mistake(f"sip_profiles/{name}.toml", "platform", problem)


def offers_of_assistant(number: NumberSettings, known: Mapping[str, str], country: str | None) -> Iterator[Mistake]:
    """What the number's assistant offers, and nothing leads to; `known`: ids of destinations by their keys."""
    if number.assistant is None:
        return
    for offer in number.assistant.offers:
        try:
            keys: Collection[str] = parse_target(offer.number, country).keys
        except TargetError:
            keys = ()
        if not any(key in known for key in keys):
            place = f"{number.assistant.path}, line {offer.line}: {offer.where}"
            problem = f'"{offer.number[:80]}" is no destination of {number.id}: it would be refused'
            yield Mistake(MAIN, f"numbers[{number.id}].assistant_file", f"{place}: {problem}")

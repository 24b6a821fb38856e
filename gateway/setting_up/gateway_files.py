# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway's own files, as text: gateway.toml and the profiles of its trunk and its PBX. Pure."""

from collections.abc import Mapping

from gateway.setting_up.plan import Plan, PlannedDestination, PlannedNumber
from gateway.setting_up.platforms import PLATFORMS
from gateway.setting_up.toml_text import comment, key, lines, with_comment

MANAGER_USER = "transfer-gateway"
HTTP_SECRET, AMI_SECRET = "http.secret", "ami.secret"


def main_file(plan: Plan, hours: Mapping[str, object]) -> str:
    """gateway.toml. `hours`: the tables of `[hours]` as they were written."""
    gateway, transport = plan.answers.gateway, plan.answers.platform.transport
    text = comment(
        "The gateway's configuration, made by transfer-gateway init. Every key, with its default, is in "
        "docs/configuration.md. After a change: transfer-gateway check, then systemctl reload transfer-gateway."
    )
    text += "\n[gateway]\n" + lines(
        [
            ("instance", gateway.instance, "names this gateway in topics and events"),
            ("state_dir", "/var/lib/transfer-gateway", "what waits for the broker, and the history"),
            ("default_country", plan.country, "how numbers without a country code are read"),
            ("locale", plan.locale, "the language of what callers may be told"),
        ]
    )
    # The PBX is always spoken to over UDP.
    ports = {"udp_port": plan.port} | ({} if transport == "udp" else {f"{transport}_port": _port_of(plan)})
    text += "\n[sip]\n" + lines(
        [
            ("bind_address", plan.address, "where the platform and the PBX reach us"),
            *((name, port, "") for name, port in ports.items()),
            ("tls_certificate", _path(gateway.tls_certificate), ""),
            ("tls_key", _path(gateway.tls_key), ""),
            ("public_address", gateway.public_address or None, "what peers see instead, behind NAT"),
            ("rtp_port_min", 20000, "UDP; the firewall has to let them in"),
            ("rtp_port_max", 29999, ""),
        ]
    )
    text += "\n" + with_comment("[http]", "metrics, health and the API")
    text += lines(
        [
            ("bind_address", "127.0.0.1", ""),
            ("port", gateway.http_port, ""),
            ("token_file", HTTP_SECRET if gateway.http_port else None, "the bearer token of the POSTs"),
        ]
    )
    text += "\n" + comment(
        "Outcomes stay in the local store and the log; to have them published, see [mqtt] and [[webhooks]]."
    )
    for name, table in hours.items():
        text += f"\n[hours.{key(name)}]\n"
        text += lines((each, given, "") for each, given in table.items()) if isinstance(table, Mapping) else ""
    return text + "".join(_number(plan, number) for number in plan.numbers)


def _port_of(plan: Plan) -> int:
    """Of TCP the same number as of UDP; of TLS the next one, as 5061 is (RFC 3261 §19.1.2)."""
    return plan.port + 1 if plan.answers.platform.transport == "tls" else plan.port


def _path(path: object) -> str | None:
    return None if path is None else str(path)


def _number(plan: Plan, number: PlannedNumber) -> str:
    profile = "freepbx" if plan.kind == "freepbx" else "asterisk"
    text = "\n[[numbers]]\n" + lines(
        [
            ("id", number.id, "topics and metrics carry this, never the number"),
            ("number", number.number, "where the assistant answers"),
            ("trunk", plan.trunk, f"sip_profiles/{plan.trunk}.toml"),
            ("pbx", profile, f"sip_profiles/{profile}.toml"),
            ("answer", number.answer, "where a call from the trunk to the number itself goes"),
            ("fallback", number.fallback, "when nobody is left to take a caller back"),
        ]
    )
    if number.answer is None:
        text += with_comment('# answer = "…"', "where a call from the trunk to the number itself goes")
    if number.fallback is None:
        text += with_comment('# fallback = "…"', "when nobody is left to take a caller back")
    return text + "".join(_destination(each) for each in number.destinations)


def _destination(each: PlannedDestination) -> str:
    text = "\n[[numbers.destinations]]\n" + lines(
        [
            ("id", each.id, ""),
            ("number", each.number, "what the assistant asks for"),
            ("name", each.name, "what callers know it by"),
            ("description", each.description or None, ""),
            ("message", each.message or None, ""),
            ("extension", each.extension, "what is dialled on the PBX"),
            ("queue", each.queue, "who is looked at first"),
            ("hours", each.hours, ""),
            ("overflow", list(each.overflow) or None, "tried in this order when nobody can take the caller"),
        ]
    )
    if each.number is None:
        text += with_comment('# number = "+…"', "without it the assistant's tool does not offer this one")
    if not each.description:
        text += with_comment('# description = "…"', "for the assistant: when to use it")
    return text


def trunk_profile(plan: Plan) -> str:
    """The profile of the platform's trunk."""
    given = plan.answers.platform
    platform = PLATFORMS[given.name]
    queues = any(each.queue for number in plan.numbers for each in number.destinations)
    waits = {"final_notify": "on-human"} if plan.kind == "freepbx" and queues else {}
    text = comment(
        f"The trunk of {platform.title}, made by transfer-gateway init. What else can be set, and what is known of "
        "each platform: docs/configuration.md and the profiles in the gateway's share/sip_profiles."
    )
    return f"{text}\n" + lines(
        [
            ("kind", "trunk", ""),
            ("addresses", [network_text(each) for each in given.addresses], "where its requests come from"),
            ("transport", given.transport, ""),
            ("outbound", given.outbound, "where calls for the assistant go" if given.outbound else "no calls go to it"),
            ("username", given.username or None, ""),
            ("password_file", f"{plan.trunk}.secret" if given.username else None, ""),
            *((name, one, "") for name, one in platform.keys.items() if name not in waits),
            *((name, one, "queues of FreePBX answer before an agent does") for name, one in waits.items()),
        ]
    )


def pbx_profile(plan: Plan) -> str:
    """The profile of the PBX."""
    title = "FreePBX" if plan.kind == "freepbx" else "Asterisk"
    host, port = plan.manager
    text = comment(
        f"{title}, made by transfer-gateway init. What it needs for this lies in pbx/, beside sip_profiles/."
    )
    addresses = [network_text(each) for each in plan.answers.pbx.addresses]
    text += "\n" + lines(
        [
            ("kind", "pbx", ""),
            ("address", plan.pbx_address, "its SIP port; requests from this address are taken"),
            ("addresses", addresses or None, "… and from these"),
            ("transport", "udp", ""),
        ]
    )
    return f"{text}\n[queues]\n" + lines(
        [
            ("source", "ami", "queues and extensions, told by the Asterisk Manager Interface"),
            ("host", host, ""),
            ("port", port, ""),
            ("username", MANAGER_USER, "the user of pbx/manager.d/transfer-gateway.conf"),
            ("password_file", AMI_SECRET, ""),
            ("extension_context", plan.extension_context or None, "where the hints are"),
        ]
    )


def network_text(network: object) -> str:
    """A network as it is written: one address without its length."""
    text = str(network)
    return text.removesuffix("/32") if ":" not in text else text.removesuffix("/128")


def unit_addition(secrets: Mapping[str, str], directory: str) -> str:
    """What the unit needs besides, so that the service may read the secrets: their names -> their paths within it."""
    text = comment("The secrets that the configuration names, for the service alone; made by transfer-gateway init.")
    text += "[Service]\n"
    return text + "".join(f"LoadCredential={name}:{directory}/{path}\n" for name, path in secrets.items())

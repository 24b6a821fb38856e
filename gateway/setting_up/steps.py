# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left for a person to do, with the exact commands. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.setting_up.gateway_files import network_text
from gateway.setting_up.plan import Plan

PBX_FILES = {"pjsip": "pjsip.d", "extensions": "extensions.d", "manager": "manager.d"}
NAME = "transfer-gateway.conf"
UNIT_ADDITION = "systemd/init.conf"
_UNIT_PLACE = "/etc/systemd/system/transfer-gateway.service.d/init.conf"
_FREEPBX = {"pjsip": "pjsip_custom_post", "extensions": "extensions_custom", "manager": "manager_custom"}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, and the commands that do it; without any it is done elsewhere."""

    what: str
    commands: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {"what": self.what, "commands": list(self.commands)}


def include_into(plan: Plan, kind: str) -> str:
    """The file of the PBX that a person may edit, and that includes ours."""
    return f"{_FREEPBX[kind] if plan.kind == 'freepbx' else kind}.conf"


def steps(plan: Plan, directory: Path, etc: Path, tools: Sequence[str]) -> list[Step]:
    """In the order in which they are done. `directory` holds what was written, `etc` is the PBX's configuration."""
    config = "" if str(directory) == "/etc/transfer-gateway" else f" --config {shlex.quote(str(directory))}"
    found = [
        Step("Have the PBX read the three files", _installing(plan, directory, etc)),
        *_numbers(plan),
        Step(
            f"Let the service read its secrets{_key_besides(plan)}, and start it",
            (
                f"install -D -m 644 {_quoted(directory / UNIT_ADDITION)} {_UNIT_PLACE}",
                "systemctl daemon-reload",
                "systemctl enable --now transfer-gateway",
            ),
        ),
        Step(
            "See whether all is well: each destination with the PBX's extension and the queue's state",
            (f"transfer-gateway check{config}", f"transfer-gateway probe{config}"),
        ),
        *_platform(plan, directory, tools),
    ]
    unknown = [extension for extension, each in plan.dialled.items() if not each.step]
    if unknown:
        file = directory / "pbx" / PBX_FILES["extensions"] / NAME
        found.insert(
            0, Step(f"Say in {file} how {', '.join(unknown)} is dialled: there is a line to complete for each")
        )
    return found


def _key_besides(plan: Plan) -> str:
    """A key of TLS stays where it is, and the service runs as a user of its own."""
    key = plan.answers.gateway.tls_key
    return "" if key is None else f" and {key} (docs/operations.md, Secrets)"


def _installing(plan: Plan, directory: Path, etc: Path) -> tuple[str, ...]:
    commands = []
    if plan.kind == "freepbx":
        commands.append(f"touch {' '.join(_quoted(etc / include_into(plan, kind)) for kind in PBX_FILES)}")
    for kind, folder in PBX_FILES.items():
        target, into = etc / folder / NAME, etc / include_into(plan, kind)
        commands.append(f"install -D -m 640 {_quoted(directory / 'pbx' / folder / NAME)} {_quoted(target)}")
        commands.append(f"chown --reference={_quoted(etc / f'{kind}.conf')} {_quoted(target)}")
        # Debian's manager.conf includes all of manager.d.
        pattern = f"^#(try)?include.*{folder}/(\\*|transfer-gateway)\\.conf"
        commands.append(
            f"grep -Eqs {shlex.quote(pattern)} {_quoted(into)} || "
            f"echo {shlex.quote(f'#include {folder}/{NAME}')} >> {_quoted(into)}"
        )
    return (*commands, "asterisk -rx 'core reload'")


def _numbers(plan: Plan) -> list[Step]:
    """How calls to the assigned numbers come to the gateway."""
    found = []
    for number in plan.numbers:
        way = f"to-transfer-gateway,{number.number},1"
        if plan.kind == "freepbx":
            text = (
                f"If {number.number} comes in at FreePBX: Admin, Custom Destinations, add one with the target {way}; "
                "then Connectivity, Inbound Routes, the number as DID Number, and that as its destination"
            )
        else:
            text = (
                f"If {number.number} comes in at the PBX: in the context of its line, "
                f"exten => <the number as it comes in>,1,Goto({way})"
            )
        found.append(Step(text))
        if number.inside is not None and plan.kind != "freepbx":
            found.append(
                Step(
                    f"For {number.inside} to lead to the assistant, in the phones' context: "
                    "include => transfer-gateway-inside"
                )
            )
    return found


def _platform(plan: Plan, directory: Path, tools: Sequence[str]) -> list[Step]:
    platform = plan.answers.platform
    networks = ", ".join(network_text(each) for each in platform.addresses)
    transport = "UDP" if platform.transport == "udp" else "TCP"
    port = plan.port + 1 if platform.transport == "tls" else plan.port
    found = [
        Step(
            f"Firewall: let {networks} in to {transport} port {port} of {plan.address}, and to UDP 20000-29999, as the "
            "PBX and its phones"
        )
    ]
    if tools:
        names = ", ".join(str(directory / each) for each in tools)
        found.append(Step(f"Give the assistant its tool at the platform: {names}"))
    else:
        found.append(
            Step(
                "No destination has a number that the assistant could ask for: give them some, and then "
                "transfer-gateway tool prints its tool"
            )
        )
    return [*found, Step(f"Call {plan.numbers[0].number}, and ask the assistant for a transfer")]


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))

# SPDX-License-Identifier: GPL-2.0-or-later
"""The three files for the PBX, as text: those of deploy/asterisk with the places filled in that people edit. Pure.

A test compares them with what is shipped. The gateway may dial what gateway.toml names and nothing else: each extension
stands in its context by itself, and no context of the PBX is included.
"""

import ipaddress

from gateway.setting_up.gateway_files import MANAGER_USER
from gateway.setting_up.plan import Plan

_HEAD = "; Made by transfer-gateway init{what}\n"


def pjsip(plan: Plan) -> str:
    """The gateway as a peer of the PBX."""
    host = f"[{plan.address}]" if ":" in plan.address else plan.address
    return (
        _HEAD.format(what=": the gateway as a peer of this PBX, known by where its requests come from.")
        + f"""
[transfer-gateway]
type = endpoint
aors = transfer-gateway
; What the gateway may dial: see extensions.d/transfer-gateway.conf.
context = from-transfer-gateway
disallow = all
allow = alaw,ulaw,g722
; The gateway joins and parts callers by itself: media that passes it by would go on to where nobody listens.
direct_media = no
; Both trust each other with the caller's number.
trust_id_inbound = yes
trust_id_outbound = yes
send_pai = yes
rtp_symmetric = no
rewrite_contact = no
timers = yes
timers_sess_expires = 1800
{_media(plan)}
[transfer-gateway]
type = aor
contact = sip:{host}:{plan.port}
; Calls to a gateway that is gone fail at once, and the dialplan can send the caller elsewhere.
qualify_frequency = 10

[transfer-gateway]
type = identify
endpoint = transfer-gateway
match = {plan.address}
"""
    )


def _media(plan: Plan) -> str:
    """On a machine with several addresses audio would come from another one than its descriptions name."""
    if not plan.media_address:
        return ""
    return (
        "; Audio comes from the address that SIP names, and from no other one of this machine: the gateway takes\n"
        "; none from elsewhere.\n"
        f"media_address = {plan.media_address}\n"
        "bind_rtp_to_media_address = yes\n"
    )


def extensions(plan: Plan) -> str:
    """What the gateway may dial, and the way to the assistant."""
    text = _HEAD.format(what=": the dialplan between this PBX and the transfer gateway.")
    text += """
; Calls that the gateway sends: callers on their way to a person. Only the destinations of gateway.toml, each by itself:
; whoever can talk the assistant into dialling a number could otherwise make calls at your expense.
[from-transfer-gateway]
"""
    for extension, each in plan.dialled.items():
        if each.step:
            text += f"exten => {extension},1,{each.step}\n"
        else:
            text += f"; How {extension} is dialled was not found. Complete the line, and take the semicolon away:\n"
            text += f";exten => {extension},1,Goto(CONTEXT,{extension},1)\n"
        if each.hint:
            text += f"exten => {extension},hint,{each.hint}\n"
    text += """
; Calls for the assistant: sent here with the assigned number, in E.164 with the plus sign.
[to-transfer-gateway]
exten => _+X.,1,Dial(PJSIP/${EXTEN}@transfer-gateway,60)
; Not reachable or refused: this is where a caller would be sent on to a person or to voicemail.
 same => n,Hangup(${HANGUPCAUSE})
"""
    inside = [(number.inside, number.number) for number in plan.numbers if number.inside is not None]
    if inside:
        context = "from-internal-custom" if plan.kind == "freepbx" else "transfer-gateway-inside"
        text += "\n; By which people of the company reach the assistant."
        text += " FreePBX includes this context.\n" if plan.kind == "freepbx" else " Include it where phones dial.\n"
        text += f"[{context}]\n"
        text += "".join(f"exten => {each},1,Goto(to-transfer-gateway,{number},1)\n" for each, number in inside)
    return text


def manager(plan: Plan, secret: str) -> str:
    """The manager user with which the gateway watches queues and extensions."""
    return (
        _HEAD.format(what=": the manager user of the gateway. It can look and not touch.")
        + f"""; manager.conf must say 'enabled = yes' and should say 'bindaddr = 127.0.0.1'.

[{MANAGER_USER}]
; The same as in sip_profiles/ami.secret of the gateway.
secret = {secret}
{_access(plan)}
read = system,call,agent
write = reporting
; The class call also tells every step of every call; what does not match is not sent.
eventfilter = ^Event: (Agent|ContactStatus|DeviceStateChange|ExtensionStatus|FullyBooted|Queue|Reload|Shutdown)
eventfilter = ^Event: (DialBegin|DialEnd|Newchannel|BlindTransfer|Hangup)
writetimeout = 1000
"""
    )


def _access(plan: Plan) -> str:
    """From where the gateway logs in: this machine, or the address by which the PBX knows it."""
    source = ipaddress.ip_address(plan.manager[0] if plan.manager_is_here else plan.address)
    if source.version == 6:
        return f"deny = ::/0\npermit = {source}/128"
    permit = "127.0.0.0/255.0.0.0" if source.is_loopback else f"{source}/255.255.255.255"
    return f"deny = 0.0.0.0/0.0.0.0\npermit = {permit}"

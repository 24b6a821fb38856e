# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks an Asterisk over AMI what it has. Nothing is changed there; what a user may not ask is noted and passed over.

`write = reporting` is enough for queues, hints, dialplan and channels; endpoints take `system`, transports `command`.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Iterable

from gateway.clock import LoopClock
from gateway.pbx.asterisk.ami_codec import AmiError, Message
from gateway.pbx.asterisk.ami_connection import Connection, ConnectionLostError, LoginRefusedError, Reply
from gateway.setting_up.found import Found, FoundHint, FoundQueue, FoundTransport, Line, Place

LOGIN_S = 5.0
ANSWER_S = 20.0  # the dialplan of a large FreePBX has tens of thousands of steps
MAX_LOOKED_AT = 20  # endpoints whose language is asked for
MAX_NAME = 200
_DIALLING = frozenset({"queue", "dial", "gosub", "goto", "macro"})
_TRANSPORT = re.compile(
    r"\s*Transport:\s+(?P<name>\S+)\s+(?P<protocol>udp|tcp|tls|wss?)\s+\S+\s+\S+\s+(?P<address>\S+):(?P<port>[0-9]{1,5})\s*"
)
_NEEDS = {
    "endpoints": "system",
    "transports": "command",
    "dialplan": "reporting",
    "hints": "reporting",
    "channels": "reporting",
    "version": "reporting",
}


_WRONG_USER = (
    "look at secret, permit and deny of that user in the PBX's manager.conf, or name another: --manager-user, "
    "--manager-secret-file"
)
_NOT_THERE = (
    "does the PBX run, with enabled = yes in its manager.conf, and there? "
    "--manager-host and --manager-port name another place"
)


class SurveyError(Exception):
    """The PBX's manager interface could not be asked at all; the message is for people."""


async def survey(host: str, port: int, username: str, secret: str) -> Found:
    """What the PBX at this manager interface has. Raises SurveyError where it lets nobody in."""
    try:
        connection = await Connection.open(
            host,
            port,
            username,
            secret,
            clock=LoopClock(),
            events="off",
            within=LOGIN_S,
            on_event=lambda _message: None,
        )
    except AmiError as error:
        hint = _WRONG_USER if isinstance(error, LoginRefusedError) else _NOT_THERE
        raise SurveyError(f"the manager interface at {host}:{port}, as user {username}: {error}; {hint}") from None
    try:
        return await _Survey(connection).made()
    except AmiError as error:
        raise SurveyError(f"the manager interface at {host}:{port} stopped answering: {error}") from None
    finally:
        connection.close()


class _Survey:
    """One round of questions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._untold: dict[str, str] = {}

    async def made(self) -> Found:
        """Ask for everything, one after the other."""
        ask = self._connection.action
        version = await self._reply("version", ask("CoreSettings", within=ANSWER_S))
        queues = await self._reply("queues", ask("QueueStatus", within=ANSWER_S))
        hints = await self._reply("hints", ask("ExtensionStateList", within=ANSWER_S))
        contexts: set[str] = set()

        def keep(message: Message) -> bool:
            contexts.update(filter(None, (_name(message, "Context"), _name(message, "IncludeContext"))))
            return message.get("Application").lower() in _DIALLING

        dialplan = await self._reply("dialplan", ask("ShowDialPlan", within=ANSWER_S, keep=keep))
        listed = await self._reply("endpoints", ask("PJSIPShowEndpoints", within=ANSWER_S))
        endpoints = tuple(sorted(filter(None, (_name(each, "ObjectName") for each in _items(listed)))))
        transports = await self._reply("transports", ask("Command", within=ANSWER_S, Command="pjsip show transports"))
        return Found(
            version=version.response.get("AsteriskVersion")[:MAX_NAME] if version else "",
            queues=_queues(_items(queues)),
            hints=tuple(_hints(_items(hints))),
            contexts=frozenset(contexts),
            lines=tuple(_lines(_items(dialplan))),
            endpoints=endpoints,
            transports=tuple(_transports(transports.response.all("Output") if transports else ())),
            languages=await self._languages(endpoints),
            untold=self._untold,
        )

    async def _languages(self, endpoints: Iterable[str]) -> tuple[str, ...]:
        """Those of the channels that there are, and of some endpoints; the most frequent first."""
        ask = self._connection.action
        channels = await self._reply("channels", ask("CoreShowChannels", within=ANSWER_S))
        counted = Counter(each.get("Language") for each in _items(channels))
        for name in sorted(endpoints)[:MAX_LOOKED_AT]:
            detail = await self._reply("languages", ask("PJSIPShowEndpoint", within=ANSWER_S, Endpoint=name))
            counted.update(each.get("Language") for each in _items(detail) if each.event == "EndpointDetail")
        return tuple(language[:20] for language, _ in counted.most_common() if language)

    async def _reply(self, what: str, asked: Awaitable[Reply]) -> Reply | None:
        """The reply to an action; None, and noted why, where the PBX does not give one."""
        try:
            return await asked
        except ConnectionLostError:
            raise
        except AmiError as error:
            self._untold[what] = _why(what, error)
        return None


def _why(what: str, error: AmiError) -> str:
    if "permission" in str(error).lower() and (right := _NEEDS.get(what)):
        return f"the manager user may not ask: write = {right} is missing"
    return str(error)


def _items(reply: Reply | None) -> tuple[Message, ...]:
    return reply.items if reply else ()


def _name(message: Message, key: str) -> str:
    """A name as the PBX has it; empty where nobody could mean it."""
    text = message.get(key)
    return text if text.isprintable() and len(text) <= MAX_NAME else ""


def _queues(items: Iterable[Message]) -> tuple[FoundQueue, ...]:
    members: dict[str, list[str]] = {}
    for each in items:
        if name := _name(each, "Queue"):
            known = members.setdefault(name, [])
            if each.event == "QueueMember" and (member := _name(each, "Name") or _name(each, "Location")):
                known.append(member)
    return tuple(FoundQueue(name, tuple(sorted(each))) for name, each in sorted(members.items()))


def _hints(items: Iterable[Message]) -> Iterable[FoundHint]:
    for each in items:
        extension, context = _name(each, "Exten"), _name(each, "Context")
        if extension and context and not extension.startswith("_"):
            yield FoundHint(Place(context, extension), _name(each, "Hint"))


def _lines(items: Iterable[Message]) -> Iterable[Line]:
    for each in items:
        context, extension = _name(each, "Context"), _name(each, "Extension")
        if context and extension:
            yield Line(Place(context, extension), each.get("Application"), each.get("AppData")[:MAX_NAME])


def _transports(output: Iterable[str]) -> Iterable[FoundTransport]:
    for line in output:
        if match := _TRANSPORT.fullmatch(line):
            yield FoundTransport(match["name"], match["protocol"], match["address"].strip("[]"), int(match["port"]))

# SPDX-License-Identifier: GPL-2.0-or-later
"""The OpenAPI 3.1 document of the HTTP server: `/api/openapi.json`, and docs/schema/openapi.json."""

import json
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel

from gateway.core.outcome import CallEnd, Outcome, Reason
from gateway.core.platform_calls import Promise
from gateway.documents import AvailabilityData
from gateway.web import answers
from gateway.web.openapi_form import Answers, Capture, Nothing, Operation, PageFile, Part, PlainText, SoundFile, written

_ID = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[^/]+$"}
_LIMIT: Part = {
    "name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 999_999},
    "description": "so many at most",
}  # fmt: skip
_UNREADABLE: Answers = {503: (answers.Failure, "the disk does not tell them")}
_OF_ALL: Answers = {400: (answers.Failure, "it has no such parameter")}
_GUARDED: Answers = {
    400: (answers.Failure, "the body cannot be read, or is not what is asked for"),
    401: (answers.Failure, "the token is missing or wrong"),
    403: (answers.Failure, "no token is configured: nothing can be changed over HTTP; or this one is not good for it"),
    413: (answers.Failure, "the body is too large"),
}


def _query(name: str, schema: Part, words: str, *, required: bool = True) -> Part:
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": words}


def _path(words: str) -> tuple[Part, ...]:
    return ({"name": "id", "in": "path", "required": True, "schema": _ID, "description": words},)


def _filter(name: str, words: str, schema: Part | None = None) -> Part:
    return _query(name, schema or {"type": "string", "maxLength": 200}, words, required=False)


_TIME: Part = {"type": "string", "description": "RFC 3339; without a zone in UTC"}
_OF_BOTH = (
    _LIMIT,
    _filter("cursor", "`next` of the page before; empty for the first", {"type": "string"}),
    _filter("since", "asked for, or begun, at or after", _TIME),
    _filter("until", "asked for, or begun, before", _TIME),
    _filter("number", "the assigned number, or its id"),
    _filter("destination", "the id of a destination"),
    _filter("caller", "the number of a caller, as it is dialled"),
)
_OF_CALLS = (*_OF_BOTH, _filter("reason", "why it ended", {"enum": list(CallEnd)}))
_OF_TRANSFERS = (
    *_OF_BOTH,
    _filter("outcome", "what became of it", {"enum": list(Outcome)}),
    _filter("reason", "why", {"enum": list(Reason)}),
    _filter("text", "words of the trail; in quotation marks those that follow one another", {"type": "string"}),
)
_OF_PLATFORM_CALLS = (
    *(each for each in _OF_BOTH if each["name"] != "destination"),
    _filter("promise", "what came of the transfer that was promised", {"enum": list(Promise)}),
)
_OF_FIGURES = (
    _filter("since", "asked for at or after; without it, seven days before `until`", _TIME),
    _filter("until", "asked for before; without it, now. 400 days after `since` at most", _TIME),
    *(each for each in _OF_BOTH if each["name"] in ("number", "destination")),
)
_NO_QUESTION: Answers = {400: (answers.Failure, "a parameter says nothing that can be asked")}

_CANCEL = {
    200: (answers.TransferAnswer, "it is called off"),
    404: (answers.Failure, "no such transfer is under way"),
    409: (answers.Failure, "it is too late"),
    **_GUARDED,
}


def _messages(path: str, what: str, name: str, more: Answers) -> dict[tuple[str, str], Operation]:
    """The SIP messages of a transfer or call, in each form."""
    forms: tuple[tuple[str, str, type[BaseModel], str], ...] = (
        ("", "Messages", answers.Messages, "with what was decided between them"),
        (".txt", "MessagesText", PlainText, "as text"),
        (".pcap", "MessagesCapture", Capture, "as a file that Wireshark opens, each message a datagram"),
    )
    unknown = {404: (answers.Failure, f"no such {what} is known, or not any more")}
    return {
        ("get", f"/api/{path}/{{id}}/messages{ending}"): Operation(
            f"{what}{form}",
            f"The SIP messages of a {what}, {words}.",
            {200: (model, "those that are kept; none, where they are not any more"), **unknown, **more},
            parameters=_path(f"the {what}'s id"),
        )
        for ending, form, model, words in forms
    }


OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("get", "/"): Operation(
        "addresses",
        "The page to look at, in a browser; where everything is.",
        {200: (answers.Addresses, "what each is for; for a browser, which takes text/html, the page")},
    ),
    ("get", "/page/{name}"): Operation(
        "pageFile",
        "A file of the page.",
        {
            200: (PageFile, "as it is in the package, with an ETag"),
            304: (Nothing, "the same as the one whose ETag is in If-None-Match"),
            404: (answers.Failure, "there is no such file"),
        },
        parameters=({"name": "name", "in": "path", "required": True, "schema": _ID, "description": "its name"},),
    ),
    ("get", "/metrics"): Operation("metrics", "For Prometheus.", {200: (None, "in Prometheus' text format")}),
    ("get", "/healthz"): Operation("health", "Whether it answers.", {200: (answers.Health, "it does")}),
    ("get", "/readyz"): Operation(
        "readiness",
        "Whether it takes calls and can store what becomes of them.",
        {200: (answers.Readiness, "it does"), 503: (answers.Readiness, "it does not; `missing` says why")},
    ),
    ("get", "/api/openapi.json"): Operation(
        "description", "This document.", {200: (answers.Description, "OpenAPI 3.1")}
    ),
    ("get", "/api/status"): Operation("status", "How the gateway is.", {200: (answers.Status, "as it is now")}),
    ("get", "/api/live"): Operation(
        "live",
        "What goes on, told as it changes to whoever takes text/event-stream; to others once.",
        {
            200: (answers.Live, "`all` of it, then each `change`, twice a second at most"),
            503: (answers.Failure, "too many look already"),
        },
    ),
    ("get", "/api/calls"): Operation(
        "calls",
        "Calls under way; with any parameter but `limit`, those that are over too.",
        {200: (answers.CallList, "newest first"), **_NO_QUESTION, **_UNREADABLE},
        parameters=_OF_CALLS,
    ),
    ("get", "/api/dialogs"): Operation(
        "dialogs",
        "SIP dialogs that PJSIP holds, and who holds each.",
        {200: (answers.DialogList, "the oldest first, 200 at most"), 400: (answers.Failure, "`limit` is no number")},
        parameters=(_LIMIT, _filter("call_id", "a Call-ID, whole: the dialogs that have it")),
    ),
    ("get", "/api/transfers"): Operation(
        "transfers",
        "Transfers under way and remembered; with any parameter but `limit`, all that are in the history.",
        {200: (answers.TransferList, "newest first"), **_NO_QUESTION, **_UNREADABLE},
        parameters=_OF_TRANSFERS,
    ),
    ("get", "/api/transfers/{id}"): Operation(
        "transfer",
        "One transfer, with its trail.",
        {
            200: (answers.OneTransfer, "as far as it is known"),
            404: (answers.Failure, "none of this id is under way or remembered"),
            **_UNREADABLE,
        },
        parameters=_path("the transfer's id"),
    ),
    **_messages("transfers", "transfer", "Transfer", _UNREADABLE),
    **_messages("calls", "call", "Call", {}),
    ("get", "/api/platform-calls"): Operation(
        "platformCalls",
        "Calls of the voice platforms that are over, as the platforms tell of them, and what of ours belongs to them.",
        {200: (answers.PlatformCallList, "newest first"), **_NO_QUESTION, **_UNREADABLE},
        parameters=_OF_PLATFORM_CALLS,
    ),
    ("get", "/api/figures"): Operation(
        "figures",
        "How far the transfers of a span came, and how soon a person was there, by destination and by day.",
        {200: (answers.FiguresAnswer, "of those that are over"), **_NO_QUESTION, **_UNREADABLE},
        parameters=_OF_FIGURES,
    ),
    ("get", "/api/queues"): Operation(
        "queues", "What the gateway knows of the queues.", {200: (answers.QueueList, "as it is now")}
    ),
    ("get", "/api/explain"): Operation(
        "explain",
        "Where a transfer would go, now or at another time, and why.",
        {
            200: (answers.Explanation, "what the gate would say"),
            400: (answers.Failure, "a parameter is missing, or no time"),
            404: (answers.Failure, "no such number is assigned"),
        },
        parameters=(
            _query("target", {"type": "string", "pattern": r"\S"}, "what the assistant would ask for"),
            _query("number", {"type": "string", "pattern": r"\S"}, "the assigned number, or its id"),
            _query(
                "at", {"type": "string"}, "an ISO 8601 time; without a zone on the clock of the hours", required=False
            ),
        ),
    ),
    ("get", "/api/configuration"): Operation(
        "configuration",
        "What is configured, but for secrets and whatever else is not to be seen.",
        {200: (answers.ConfigurationAnswer, "as it is in force")},
    ),
    ("get", "/api/configuration/check"): Operation(
        "checkConfiguration",
        "What `transfer-gateway check` says of the files as they are now, and what of them is not in force.",
        {200: (answers.CheckAnswer, "as of at most 10 s ago"), 503: (answers.Failure, "the disk does not tell them")},
    ),
    ("get", "/api/availability"): Operation(
        "availability",
        "Whether a transfer would be accepted now, and who is there, before it is promised.",
        {
            200: (AvailabilityData, "what the gate would say of each destination, with a weak ETag"),
            304: (Nothing, "the same as the document whose ETag is in If-None-Match"),
            400: (answers.Failure, "a parameter is missing"),
            404: (answers.Failure, "no such number is assigned, or it has no such destination"),
        },
        parameters=(
            _query("number", {"type": "string", "pattern": r"\S"}, "the assigned number, or its id"),
            _query(
                "destination",
                {"type": "string", "pattern": r"\S"},
                "one destination alone, by its id, number or alias; without it all of the number's",
                required=False,
            ),
        ),
    ),
    ("get", "/api/audit"): Operation(
        "audit",
        "Who has given which command, and what came of it.",
        {
            200: (answers.AuditTrail, "the newest first, 1000 at most; 100 without `limit`"),
            400: (answers.Failure, "`limit` is no number"),
            401: _GUARDED[401],
            403: _GUARDED[403],
        },
        parameters=(_LIMIT,),
        guarded=True,
    ),
    ("get", "/api/session"): Operation(
        "session", "Whose session the cookie is of.", {200: (answers.SessionAnswer, "`author` null: of none")}
    ),
    ("post", "/api/session"): Operation(
        "signIn",
        "Show a token once; the cookie is as good as it for the page of this gateway.",
        {
            200: (answers.SessionAnswer, "with the cookie"),
            **{status: _GUARDED[status] for status in (400, 401, 403, 413)},
        },
        body=answers.SessionBody,
    ),
    ("delete", "/api/session"): Operation(
        "signOut",
        "End the session.",
        {
            200: (answers.SessionAnswer, "there is none any more"),
            403: (answers.Failure, "the page of somebody else asks"),
        },
    ),
    ("post", "/api/whispers"): Operation(
        "keepWhisper",
        "Upload a sound for one transfer: a WAV of 16-bit PCM, one channel, 8 or 16 kHz, 30 s and 1 MB at most.",
        {
            201: (answers.WhisperAnswer, "it is kept until a transfer that names it is over, or for five minutes"),
            408: (answers.Failure, "it did not come within 30 s"),
            503: (answers.Failure, "as many are kept as may be"),
            **_GUARDED,
        },
        body=SoundFile,
        guarded=True,
    ),
    ("post", "/api/calls/{id}/transfer"): Operation(
        "transferCall",
        "Transfer a running call.",
        {
            202: (answers.TransferAnswer, "it is being dialled"),
            404: (answers.Failure, "no such call is under way"),
            409: (answers.Refusal, "the gate refuses it; `transfer` says why"),
            **_GUARDED,
        },
        parameters=_path("the call's id"),
        body=answers.TransferBody,
        guarded=True,
    ),
    ("post", "/api/calls/{id}/cancel"): Operation(
        "cancelCallsTransfer",
        "Call off the transfer of a call that nobody has answered yet.",
        _CANCEL,
        parameters=_path("the call's id"),
        body=answers.CancelBody,
        body_is_required=False,
        guarded=True,
    ),
    ("post", "/api/calls/{id}/hangup"): Operation(
        "hangUpCall",
        "End a running call, each of its legs, whatever it is at.",
        {
            200: (answers.HangUpAnswer, "it is over"),
            404: (answers.Failure, "no such call is under way"),
            **_GUARDED,
        },
        parameters=_path("the call's id"),
        body=answers.HangUpBody,
        body_is_required=False,
        guarded=True,
    ),
    ("post", "/api/callbacks"): Operation(
        "callBack",
        "Have a destination call somebody back who has called, as soon as somebody is free there.",
        {
            202: (answers.TransferAnswer, "it is promised"),
            404: (answers.Failure, "no such call is under way, or was in the last hour"),
            409: (answers.Refusal, "it is refused; `transfer` says why"),
            **_GUARDED,
        },
        body=answers.CallBackBody,
        guarded=True,
    ),
    ("post", "/api/transfers/{id}/cancel"): Operation(
        "cancelTransfer",
        "Call off a transfer that nobody has answered yet.",
        _CANCEL,
        parameters=_path("the transfer's id"),
        body=answers.CancelBody,
        body_is_required=False,
        guarded=True,
    ),
    ("post", "/api/probe"): Operation(
        "probe",
        "Call a destination for a moment.",
        {
            200: (answers.ProbeAnswer, "what came of it"),
            404: (answers.Failure, "there is no such number or destination"),
            **_GUARDED,
        },
        body=answers.ProbeBody,
        guarded=True,
    ),
    ("post", "/api/forget"): Operation(
        "forget",
        "Erase a caller from all that is stored.",
        {
            200: (answers.ForgetAnswer, "what that was; nothing, where it is asked again"),
            503: (answers.Failure, "not all of it could be erased: ask again"),
            **_GUARDED,
        },
        body=answers.ForgetBody,
        guarded=True,
    ),
    ("post", "/api/reload"): Operation(
        "reload",
        "Load the configuration anew.",
        {
            200: (answers.ReloadAnswer, "it is in force"),
            422: (answers.ReloadRefusal, "it has mistakes"),
            401: _GUARDED[401],
            403: _GUARDED[403],
        },
        guarded=True,
    ),
    ("post", "/api/restart"): Operation(
        "restart",
        "End, for whoever starts the gateway again, and leave the calls to the next process.",
        {
            202: (answers.RestartAnswer, "it takes no new calls from now on"),
            401: _GUARDED[401],
            403: _GUARDED[403],
            409: (
                answers.RestartRefusal,
                "calls would be lost by it (`recover_calls`, the disk), or it is ending already",
            ),
            422: (answers.RestartRefusal, "the configuration has mistakes: no gateway would start"),
        },
        guarded=True,
    ),
}
"""Every route of the server; a test compares the two."""


def document(version: str) -> Part:
    """The document, of the gateway of this version."""
    return written(
        OPERATIONS,
        of_all=_OF_ALL,
        title="Transfer gateway",
        version=version,
        description="Metrics, health and what operators may ask. Fields may be added to every answer.",
        schemes={"token": {"type": "http", "scheme": "bearer", "description": "that of `token_file` in `[http]`"}},
    )


@cache
def body(version: str) -> bytes:
    """The document as it is served."""
    return json.dumps(document(version), ensure_ascii=False, separators=(",", ":")).encode()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing that arrives can keep the gateway busy by its text alone.

Every pattern of the gateway, and every function that reads what came over a network, is given 8,000 of each odd
character, alone, between what such a text begins and ends with, and in turn with each other odd one. That a pattern
does not backtrack here is no proof that it never does, but all that ever did show it so.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import gc
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import gateway
from gateway import call_messages, options
from gateway.cli import message_words
from gateway.core import caller, numbers
from gateway.log import mask
from gateway.pbx.asterisk import ami_codec
from gateway.pbx.subscriptions import state_documents
from gateway.sip.requests import dialogs
from gateway.sip.stack import kept_messages
from gateway.sip.text import digest, headers, identity, malformed

LENGTH = 8000
CPU_S = 0.005
TRIES = 20
"""The fastest counts: what else runs on the machine takes the caches away."""
COUNTS = 30
"""On a slow machine, and on one whose time others steal, the limit is as much as counting the text so often."""

EVERY = [*map(chr, range(128)), "\x85", "\u00a0", "é", "ſ", "K", "\u2028", "\udcff", "漢", "😀"]
ODD = ' \t\r\n\x00"\\<>;:,=@&%+-.0a\udcff'
WORDS = (
    "token", "bearer ", "authorization ", "token=", "sip:", "tel:1", "%41", "a=b;", '"a"', "<a>", '\\"', "1-", "1.1",
    "+1 ", "SIP/2.0 ", " SIP/2.0", ";x-transfer-id=", "Digest ", "a\r\n ", "X: a\r\n", '"<', ";tag", ",a=", "&a=",
    "_file",
)  # fmt: skip
BEGINNINGS = ("", '"', "<", "sip:", 'a="', "a=", "+", "INVITE ", "token=")
ENDS = ("", "x", ">", '"', "\n")


def runs(*around: tuple[str, str]) -> Iterator[str]:
    """Texts of LENGTH characters: of one character, of two in turn, and with these around them."""
    yield from (each * LENGTH for each in EVERY)
    yield from ((one + other) * (LENGTH // 2) for one in ODD for other in ODD if one != other)
    yield from ((word * LENGTH)[:LENGTH] for word in WORDS)
    yield from (before + each * LENGTH + after for before, after in around for each in ODD)


def too_slow(work: Callable[[str], object], texts: Iterator[str]) -> str:
    """The first text that takes too long, and how long; empty: none does."""
    for text in texts:
        spent, plain = cost(work, text), CPU_S / COUNTS
        for tried in range(TRIES):
            if spent <= CPU_S or (tried and spent > 20 * CPU_S):
                break
            spent, plain = min(spent, cost(work, text)), max(plain, cost(count, text))
        if spent > COUNTS * plain:
            return f"{spent * 1000:.1f} ms for {text[:20]!r}…{text[-12:]!r}"
    return ""


def count(text: str) -> int:
    """Look at each character once."""
    return sum(1 for _ in text)


def cost(work: Callable[[str], object], text: str) -> float:
    """Seconds of CPU, without those of a garbage collection that happens to fall into it."""
    gc.disable()
    begun = time.process_time()
    with contextlib.suppress(ValueError):  # whatever is refused is refused by one
        work(text)
    spent = time.process_time() - begun
    gc.enable()
    return spent


# --- patterns


def modules() -> Iterator[tuple[str, Path]]:
    """The gateway's modules and their files."""
    for found in pkgutil.walk_packages(gateway.__path__, "gateway."):
        path = Path(gateway.__path__[0], *found.name.split(".")[1:])
        source = path / "__init__.py" if found.ispkg else path.with_suffix(".py")
        if found.name != "gateway.sip.binding" and source.exists():
            yield found.name, source


WAYS = ("match", "fullmatch", "search", "sub", "findall", "split")
WAY = re.compile(rf"\.({'|'.join(WAYS)})\(")


@functools.cache
def calls() -> frozenset[tuple[str, str, str]]:
    """Every `name.method(…)` in the gateway whose method is one of WAYS: the module, the name, the method."""
    found = set()
    for module, path in modules():
        if not WAY.search(code := path.read_text()):
            continue
        for node in ast.walk(ast.parse(code)):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=way)) if way in WAYS:
                    found.add((module, name, way))
    return frozenset(found)


def patterns() -> dict[str, Callable[[str], object]]:
    """What each pattern is asked, by its name."""
    found: dict[str, Callable[[str], object]] = {}
    for module, name, way in sorted(call for call in calls() if call[1].isupper()):
        pattern = getattr(importlib.import_module(module), name, None)
        if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
            ask = getattr(pattern, way)
            found[f"{module}.{name}.{way}"] = partial(ask, "") if way == "sub" else ask
    return found


PATTERNS = patterns()


@pytest.mark.thorough
@pytest.mark.keeps("16.71")
@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_takes_long_for_any_text(name: str) -> None:
    ask = PATTERNS[name]
    around = [(before, after) for before in BEGINNINGS for after in ENDS]
    assert not too_slow(ask, runs(*around))


@pytest.mark.keeps("16.71")
def test_every_pattern_has_a_name_by_which_it_is_tried() -> None:
    # What the operator writes is another matter.
    unnamed = [use for use in calls() if use[1] == "re" and not use[0].startswith("gateway.config")]
    assert not unnamed


# --- readers


def decode(data: str) -> object:
    decoder = ami_codec.Decoder()
    decoder.feed(b"Asterisk Call Manager/11.0.0\r\n")
    return decoder.feed(data.encode("utf-8", "surrogateescape"))


def number(text: str) -> object:
    return ami_codec.Message((("Event", "X"), ("Wait", text))).number("Wait")


def bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def notified(text: str) -> None:
    state_documents.DialogStates().take(bytes_of(text))


BODY = "<dialog-info version='1' state='full'><dialog id='a'><state>"
PIDF = "<presence><tuple><status><basic>open</basic></status></tuple><note>"

READERS: dict[str, tuple[Callable[[str], object], list[tuple[str, str]]]] = {
    "malformed.method_of": (malformed.method_of, [("INVITE ", "x"), ("INVITE sip:a", " SIP/2.0"), ("A", "")]),
    "malformed.verdict": (
        lambda text: malformed.verdict(text, whole=True), [("INVITE ", "x"), ("INVITE sip:a", "SIP/2.0\r\n"), ("A", "")]
    ),
    "malformed.answer": (
        lambda text: malformed.answer(text, 400, "Via", ()),
        [
            ("INVITE sip:a SIP/2.0\r\n", "\r\nTo: x"),
            ("INVITE sip:a SIP/2.0\r\nVia: v\r\nFrom: f\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nTo: ", "\r\n\r\n"),
            ("INVITE sip:a SIP/2.0\r\nVia: v\r\nFrom: f\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nTo: a;tag", "\r\n\r\n"),
        ],
    ),
    "headers.parse_refer_to": (
        lambda text: headers.parse_refer_to([text]),
        [("<sip:", ">"), ("<", ""), ('"', '"<sip:a>'), ("<sip:a>;", "<"), ("sip:a?", "&b=c"), ('<sip:a>;x="', '"')],
    ),
    "headers.allowed": (lambda text: headers.allowed([("X-A", text), (text, "a")], ["X-*", "*a*b*c"]), [("X-", "")]),
    "headers.header_fields": (
        headers.header_fields, [("A\r\nX: a", "\r\nY: b"), ("A\r\nX: a\r\n", "\r\nY: b\r\n\r\n"), ("A\r\nX:", "\n\n")]
    ),
    "headers.parse_name_addr": (
        headers.parse_name_addr, [('"', '"<sip:a>'), ("<", ">"), ("a <", ""), ('"\\', '" <sip:a>'), ("sip:", "<")]
    ),
    "headers.name_addr": (lambda text: headers.name_addr(text, "sip:a@b"), []),
    "headers.user_part": (headers.user_part, []),
    "headers.unsupported": (lambda text: headers.unsupported([text], frozenset()), []),
    "identity.is_private": (lambda text: identity.is_private([text], []), [("id;", "")]),
    "identity.remote_party": (lambda text: identity.is_private([], [], [text]), [("<tel:1>;privacy", "=a")]),
    "identity.caller_ids": (lambda text: identity.caller_ids([], [text]), [("sip:anonymous@", ";a"), ("<", ">")]),
    "caller.is_withheld": (
        lambda text: caller.is_withheld(caller.CallerId(text, text[:128])), [("sip:anonymous@", ";a"), ("sip:", "@a")]
    ),
    "caller.known_caller": (
        lambda text: caller.known_caller([caller.CallerId(text)], "NL"), [("sip:", "@a"), ("tel:", "")]
    ),
    "identity.diverted_users": (
        lambda text: identity.diverted_users([text], [text]),
        [("<sip:", "@a>"), ('"', '"'), ('"', ","), ("sip:a", "@b"), ("<", "<sip:a@b>"), (",", '"<')],
    ),
    "identity.called_uris": (
        lambda text: identity.called_uris(text, "a", [text], [text]), [("sip:", "@a"), ("<", ">")]
    ),
    "identity.hops_left": (lambda text: identity.hops_left([text]), []),
    "numbers.parse_target": (
        lambda text: numbers.parse_target(text, "NL"),
        [("sip:", "@a"), ("sip:a@", ":1"), ("tel:", ";ext=1"), ("<", ">")],
    ),
    "numbers.e164": (lambda text: numbers.e164(text, "NL"), [("+31", "0"), ("0031", "")]),
    "mask.mask_text": (
        mask.mask_text, [("sip:1", ""), ("+1", "x"), ("1-", "a"), ("2026-01-01 ", ""), ("1.1", "x"), ("tel:%2B", "")]
    ),
    "mask.mask_number": (
        lambda text: mask.mask_text(text, number_field=True), [("sip:1", ""), ("+1", "x"), ("1", "x")]
    ),
    "kept_messages.as_kept": (
        kept_messages.as_kept,
        [
            ("INVITE sip:", "@a"), ("INVITE\r\nAuthorization: Digest ", ""), ("INVITE\r\nTo: <sip:a:", "@b>"),
            ("INVITE\r\nRefer-To: a?Authorization=", "&b"), ("INVITE\r\n\r\na=crypto:1 ", "\r\n"),
            ("INVITE\r\nX:", "\r\n "),
        ],
    ),
    "call_messages.masked_message": (
        call_messages.masked_message,
        [("INVITE\r\nTo: <sip:+1", ">;tag=1"), ("INVITE\r\n\r\ns=1", "1"), ("A\r\nVia", ":")],
    ),
    "message_words.words_of": (
        lambda text: message_words.words_of({"text": text, "again": False}),
        [("REFER a\r\nRefer-To: <sip:", "@a>"), ("SIP/2.0 ", "\r\nCSeq: 1 A\r\n"), ("NOTIFY a\r\n\r\n", "")],
    ),
    "mask.redact_text": (
        mask.redact_text, [("authorization", ""), ("Authorization:", "Digest "), ("bearer", ""), ("token", "=")]
    ),
    "ami_codec.Decoder": (decode, [("Event: a\r\nX:", "\r\n\r\n"), ("Event: a", "\r\n\r\n")]),
    "ami_codec.number": (number, [("-", ""), ("1", "x")]),
    "state_documents.DialogStates": (
        notified,
        [(BODY, "</state></dialog></dialog-info>"), ("<", ">"), ("<a ", "/>"), ("<!DOCTYPE ", ">"), (BODY[:30], "")],
    ),
    "state_documents.presence_state": (
        lambda text: state_documents.presence_state(bytes_of(text)),
        [(PIDF, "</note></presence>"), (PIDF, ""), ("&", ";")],
    ),
    "digest.parse_credentials": (
        digest.parse_credentials, [("Digest ", ""), ('Digest a="', ""), ("Digest a", "=b"), ('Digest a="b",', "")]
    ),
    "digest.same_place": (
        lambda text: digest.same_place(text, text), [("sip:", "@a"), ("sip:a@", ":1"), ("sip:[", "]"), ("sip:a;", "?")]
    ),
    "digest.verify": (
        lambda text: digest.DigestServer("r", b"s", time.monotonic).verify(
            "INVITE", text, [f'Digest realm="r", qop=auth, cnonce="c", nc=00000001, nonce="{text}", uri="a"'], "u", "p"
        ),
        [],
    ),
    "dialogs.parse_replaces": (dialogs.parse_replaces, [("a;to-tag=", ";from-tag=b"), ("a;", "")]),
    "dialogs.parse_target_dialog": (dialogs.parse_target_dialog, [("a;local-tag=", ";remote-tag=b"), ("a;", "")]),
    "options.answered_by": (
        lambda text: options._Request("1", ("a", 1), ("b", 2), "udp").answered_by(bytes_of(text)), [("SIP/2.0 ", "")]
    ),
    "options.length": (lambda text: options._length(bytes_of(text)), [("l: ", ""), ("Content-Length:", "1")]),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.keeps("16.71")
@pytest.mark.parametrize("name", READERS)
def test_no_reader_takes_long_for_any_text(name: str) -> None:
    read, around = READERS[name]
    assert not too_slow(read, runs(*around))

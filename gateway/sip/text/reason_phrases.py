# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands behind the code in a status line: the reason phrase that the RFCs give it, or a sentence for the caller.

Some platforms tell their assistant the reason phrase of a failed transfer and nothing else of it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config.profiles import TrunkProfile

REASON_PHRASES = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 300: "Multiple Choices",
    301: "Moved Permanently", 302: "Moved Temporarily", 305: "Use Proxy", 380: "Alternative Service",
    400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
    410: "Gone", 413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media Type",
    416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required", 422: "Session Interval Too Small",
    423: "Interval Too Brief", 433: "Anonymity Disallowed", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 484: "Address Incomplete",
    485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
    493: "Undecipherable", 494: "Security Agreement Required", 500: "Server Internal Error", 501: "Not Implemented",
    502: "Bad Gateway", 503: "Service Unavailable", 504: "Server Time-out", 505: "Version Not Supported",
    513: "Message Too Large", 580: "Precondition Failure", 600: "Busy Everywhere", 603: "Decline",
    604: "Does Not Exist Anywhere", 606: "Not Acceptable", 607: "Unwanted", 608: "Rejected",
}  # fmt: skip
"""By status code (RFC 3261 §21, and the RFCs that add codes)."""

MAX_PHRASE = 120
"""The longest phrase that is made of a sentence, in characters."""

# What a Reason-Phrase may not hold though it is ASCII (RFC 3261 §25.1: reserved, unreserved, SP), and what does for it.
_INSTEAD = str.maketrans({'"': "'", "`": "'", "<": "(", "[": "(", "{": "(", ">": ")", "]": ")", "}": ")", "\\": "/",
                          "|": "/", "^": " ", "#": " ", "%": " "})  # fmt: skip
# Letters that do not come apart into an ASCII letter and a mark, and the punctuation of word processors.
_FOLDED = str.maketrans({"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l",
                         "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "€": "EUR",
                         "‘": "'", "’": "'", "‚": "'", "“": "'", "”": "'", "„": "'", "«": "'", "»": "'", "–": "-",
                         "—": "-", "‐": "-", "‑": "-", "•": "-"})  # fmt: skip
_BLANKS = re.compile(r"\s+")


def phrase_for(trunk: TrunkProfile | None, sentence: str | None) -> str:
    """The reason phrase in which a trunk reads a sentence; empty: it reads none there, or there is nothing to say."""
    if trunk is None or trunk.reason_phrase != "sentence" or not sentence:
        return ""
    return spoken_phrase(sentence, to_ascii=trunk.reason_phrase_ascii)


def spoken_phrase(sentence: str, *, to_ascii: bool = False) -> str:
    """A sentence as a Reason-Phrase (RFC 3261 §25.1), without its full stop: at most MAX_PHRASE characters, in UTF-8.

    Line ends and other control characters become blanks. `to_ascii` has letters without their marks, and drops what
    ASCII has nothing like; a sentence of which hardly anything is left then gives an empty phrase.
    """
    text = unicodedata.normalize("NFC", sentence)
    wanted = sum(char.isalnum() for char in text)
    if to_ascii:
        apart = unicodedata.normalize("NFKD", text.translate(_FOLDED))
        text = apart.encode("ascii", "ignore").decode()
        if 2 * sum(char.isalnum() for char in text) < wanted:
            return ""  # another alphabet
    plain = "".join(map(_printed, text.translate(_INSTEAD)))
    return _cut(_BLANKS.sub(" ", plain).strip().removesuffix(".").strip())


def _printed(char: str) -> str:
    """The character; a blank for a control or half a pair, nothing for what turns the direction of writing."""
    category = unicodedata.category(char)
    return "" if category == "Cf" else " " if category[0] == "C" else char


def _cut(text: str) -> str:
    if len(text) <= MAX_PHRASE:
        return text
    whole_words = text[: MAX_PHRASE - 2].rpartition(" ")[0] or text[: MAX_PHRASE - 3]
    return whole_words + "..."

# SPDX-License-Identifier: GPL-2.0-or-later
"""By what a gateway among several is known in the SIP that it sends, without telling anybody which one it is."""

import base64
import hashlib
import hmac

TOKEN_LENGTH = 16
"""Characters of a token: 80 bits in base32 (RFC 4648 §6), lower-case letters and the digits 2 to 7."""
_PURPOSE = b"transfer-gateway node\0"


def node_token(secret: str, node: str) -> str:
    """What Call-IDs and tags of the gateway `node` begin with; it says nothing to those who lack the nodes' `secret`.

    The same for as long as the secret is, so that a proxy compares it with a list and computes nothing.
    """
    digest = hmac.digest(secret.encode(), _PURPOSE + node.encode(), hashlib.sha256)
    return base64.b32encode(digest[: TOKEN_LENGTH * 5 // 8]).decode().lower()

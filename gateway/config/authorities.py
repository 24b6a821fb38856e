# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom the gateway trusts when it connects over TLS, for those who do so without PJSIP."""

import ssl
from pathlib import Path


def trusting(file: Path | str | None) -> ssl.SSLContext:
    """For who connects: the authorities in `file`, in PEM; None: the system's. It reads files. Raises OSError.

    From 3.13 on, Python asks of each certificate all that RFC 5280 asks of public authorities (§4.2.1: a CA's key
    usage, the key identifiers). A company's own authority, as `openssl req -x509` makes it, has not all of that: the
    broker would be out of reach from the day that the system's Python is newer. Who has signed what, until when and for
    which name is proved all the same.
    """
    context = ssl.create_default_context(cafile=file)
    if file is not None:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context

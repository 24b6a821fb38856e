# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources that the whole test suite was run with. Another one is tried, and says so."""

from __future__ import annotations

KNOWN = {
    # As Debian's asterisk 1:22.10.1+dfsg+~cs6.17.60671434-1 carries it.
    "6860c2f7604b4eee75f38151a9ef69774eb3f0c5286fc1d14bc1db2dc5a9e8aa": "2.17",
}
"""SHA-256 of a tarball of pjproject -> its version. A line is added when `make test` has passed with it."""

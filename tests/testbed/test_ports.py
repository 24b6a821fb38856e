# SPDX-License-Identifier: GPL-2.0-or-later
"""A port that was found free is nobody else's, though whoever it was found for is yet to begin."""

from __future__ import annotations

import socket

from tests.support.processes import free_port


def test_no_two_are_given_the_same_port() -> None:
    given = [free_port() for _ in range(1000)]
    assert len(set(given)) == 1000


def test_a_port_that_somebody_has_is_not_given() -> None:
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        assert port not in {free_port() for _ in range(500)}

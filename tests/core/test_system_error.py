# SPDX-License-Identifier: GPL-2.0-or-later
"""Nobody is shown the number of a system's error."""

import errno
import os

import pytest

from gateway.core.system_error import in_words, unreadable, with_remedy


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)), "Connection refused"),
        (OSError(errno.EACCES, "Permission denied", "/etc/a.secret"), "Permission denied: '/etc/a.secret'"),
        (OSError(-2, "Name or service not known"), "Name or service not known"),
        (OSError("[Errno 9] as it stands"), "as it stands"),
        (ValueError("a [Errno 9] within stays"), "a [Errno 9] within stays"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_in_words(error: BaseException, words: str) -> None:
    assert in_words(error) == words


def test_who_may_not_read_a_file_is_named() -> None:
    denied, absent = (
        OSError(errno.EACCES, "Permission denied", "/a"),
        OSError(errno.ENOENT, "No such file or directory"),
    )
    assert unreadable(denied, 947) == "can't be read: Permission denied; user 947 has to be let read it"
    assert unreadable(absent, 947) == "can't be read: No such file or directory"


def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    taken = "cannot listen on udp 127.0.0.2:5060: Address already in use"
    assert with_remedy(taken).startswith(f"{taken}; another program has that port, as `ss -lntup` says")
    assert with_remedy("Cannot assign requested address") == "Cannot assign requested address"

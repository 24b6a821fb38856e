# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of a log, and of a tally: neither may overlook anything."""

from __future__ import annotations

from tests.fuzz.reports import of_leaks, of_sanitizers, of_the_gateway
from tests.fuzz.tally import Tally

LEAKS = """\
2026-11-29T07:23:41.333308Z info    app: stopped

=================================================================
==10813==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 1024 byte(s) in 1 object(s) allocated from:
    #0 0x7ff229eb89cf in __interceptor_malloc ../../../../src/libsanitizer/asan/asan_malloc_linux.cpp:69
    #1 0x7ff22910 in PyMem_RawMalloc Objects/obmalloc.c:572
    #2 0x7ff223ba95ef in _wrap_new_Call (/cache/_pjsua2.cpython-311-x86_64-linux-gnu.so+0x9a95ef)

Direct leak of 4000 byte(s) in 1 object(s) allocated from:
    #0 0x7ff229eb89cf in __interceptor_malloc ../../../../src/libsanitizer/asan/asan_malloc_linux.cpp:69
    #1 0x7ff22457d4b6 in default_block_alloc ../src/pj/pool_policy_malloc.c:45
    #2 0x7ff224542f21 in pj_pool_create_block ../src/pj/pool.c:60
    #3 0x7ff22437 in pjmedia_sdp_session_clone ../src/pjmedia/sdp.c:1597
    #4 0x7ff2291a in cfunction_call Objects/methodobject.c:553

Indirect leak of 8 byte(s) in 1 object(s) allocated from:
    #0 0x7ff229eb89cf in __interceptor_malloc ../../../../src/libsanitizer/asan/asan_malloc_linux.cpp:69
"""
OVERFLOW = """\
2026-11-29T07:23:41.333308Z info    app: started
../src/pjmedia/rtcp.c:430:15: runtime error: signed integer overflow: 1977409717 - -1011478816
    #0 0x7f50a0a2a5b6 in pjmedia_rtcp_rx_rtp2 ../src/pjmedia/rtcp.c:430
../src/pj/string_i.h:50:5: runtime error: null pointer passed as argument 2, which is declared to never be null
"""
TRACEBACK = """\
2026-11-29T07:23:41.333308Z error   gateway: callback-failed where=x
Traceback (most recent call last):
  File "/x.py", line 1, in <module>
    1 / 0
ZeroDivisionError: division by zero
2026-11-29T07:23:42.333308Z info    app: stopped
"""


def test_memory_that_the_binding_asked_for_is_a_leak_and_python_s_is_none() -> None:
    [leak] = of_leaks(LEAKS)
    assert leak.startswith("Direct leak of 4000 byte(s)")
    assert "pjmedia_sdp_session_clone" in leak
    assert of_leaks(OVERFLOW) == []


def test_a_report_is_told_with_its_place_and_empty_copies_are_harmless() -> None:
    [report] = of_sanitizers(OVERFLOW)
    assert "rtcp.c:430" in report
    assert of_sanitizers(TRACEBACK) == []


def test_a_traceback_is_told_with_what_was_raised() -> None:
    failed, raised = of_the_gateway(TRACEBACK)
    assert "callback-failed" in failed
    assert "ZeroDivisionError" in raised
    assert of_the_gateway(OVERFLOW) == []


def test_what_was_not_sent_or_not_answered_was_not_reached() -> None:
    tally = Tally()
    assert "REFER in a call" in tally.unreached()
    tally.out("trunk UDP", "REFER in a call", broken=True)
    assert "REFER in a call" in tally.unreached()
    tally.back("trunk UDP", "REFER in a call", "4xx")
    assert "REFER in a call" not in tally.unreached()
    assert tally.lines() == ["trunk UDP        REFER in a call                 1 sent,      1 broken: 4xx 1"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""What a start loads: nothing that only some configurations need, or only other commands."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from gateway.memory import lasting

NOT_NEEDED = {
    "aiomqtt": "a gateway without [mqtt] has no broker",
    "paho": "as aiomqtt",
    "gateway.report.figures": "`report` reads the history by itself",
    "gateway.probe": "`probe`",
    "gateway.setting_up": "`init`",
    "gateway.tool": "`tool`",
    "gateway.report.schemas": "`make schemas`",
    "holidays": "a configuration that names no country",
    "multiprocessing": "there is one process",
    "unittest": "tests",
    "xml.dom": "PBXs' documents are read by expat",
    "jinja2": "dashboards",
}
"""Modules that the gateway's own must not bring, and who needs them."""

LATER = {
    "dns._asyncio_backend",
    "dns.rdtypes.IN.A",
    "dns.rdtypes.IN.AAAA",
    "dns.rdtypes.ANY.CNAME",
    "dns.rdtypes.ANY.SOA",
}
"""What calls would have to wait for, if it were loaded with the first name that is asked for."""


RUN = """
import gc, sys
from gateway.cli import main
assert main(["run", "--config", "/nowhere"]) == 78
print(gc.isenabled(), gc.get_freeze_count(), *sys.modules)
"""


@pytest.mark.slow
@pytest.mark.keeps("18.3")
def test_a_start_loads_nothing_that_it_may_not_need() -> None:
    """In a process of its own: what is loaded here, other tests have loaded."""
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True)
    enabled, frozen, *loaded = done.stdout.split()
    assert "gateway.report.reporter" in loaded
    assert not NOT_NEEDED.keys() & set(loaded)
    assert set(loaded) >= LATER
    assert enabled == "True"
    assert int(frozen) > 50_000, "what was loaded is not to be searched for garbage"


def test_what_is_loaded_is_not_searched_for_garbage() -> None:
    frozen = gc.get_freeze_count()
    try:
        with lasting():
            assert not gc.isenabled()
            kept: list[object] = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= frozen + len(kept)
        with pytest.raises(ZeroDivisionError), lasting():
            raise ZeroDivisionError
        assert gc.isenabled()
    finally:
        gc.unfreeze()

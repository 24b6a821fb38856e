# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents' pieces of a PBX's configuration, as a real Asterisk reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.documents.blocks import ROOT, all_blocks
from tests.support.untouched_asterisk import FreePbx

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = [pytest.mark.pbx, pytest.mark.keeps("20.90")]

PIECES = [block for block in all_blocks("ini") if "exten =>" in block.text]
INCLUDED = [block for block in all_blocks("ini") if "#include" in block.text]
ASTERISK = ROOT / "deploy" / "asterisk"
EXTENSION = re.compile(r"^exten => ([^,]+),(\d+|hint),(.+)$", re.MULTILINE)


async def test_asterisk_has_what_each_piece_says(own_net: Net) -> None:
    """A piece without a context is one of the lines that come from outside."""
    async with FreePbx(own_net) as pbx:
        custom = pbx.etc / "extensions_custom.conf"
        empty = custom.read_text()
        wrong = []
        for piece in PIECES:
            context = re.match(r"\[(.+)\]", piece.text)
            custom.write_text(f"{empty}\n{'' if context else '[from-trunk-custom]'}\n{piece.text}")
            await pbx.cli("dialplan reload")
            shown = await pbx.cli(f"dialplan show {context[1] if context else 'from-trunk-custom'}")
            for name, priority, application in EXTENSION.findall(piece.text):
                step = "hint: " if priority == "hint" else f"{priority}. "
                steps = re.split(r"\n +(?=')", shown.partition(f"'{name}' =>")[2])[0]
                if f"{step}{application} " not in steps:
                    wrong.append(f"{piece}: {name}, {priority} is not in\n{shown}")
        assert wrong == []


def test_what_is_to_be_included_is_shipped() -> None:
    named = {name for block in INCLUDED for name in re.findall(r"#include (\S+)", block.text)}
    shipped = {str(path.relative_to(path.parents[1])) for path in ASTERISK.glob("*.d/*.conf")}
    assert named == shipped

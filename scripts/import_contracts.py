# SPDX-License-Identifier: GPL-2.0-or-later
"""A contract for import-linter: these modules import what is listed, and nothing else.

import-linter's own contracts list what is forbidden. For a core that must stay pure the list of what is allowed is the
shorter one, and it also holds for modules that nobody thought of.
"""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AllowedImportsContract(Contract):
    """`modules` and all below them may import one another and, of everything else, only what `allowed` names.

    An allowed name is a top-level one ("enum", with all below it) or, where only a part of it is harmless, a dotted one
    ("urllib.parse").
    """

    type_name = "allowed_imports"

    modules = fields.ListField(subfield=fields.StringField())
    allowed = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every direct import; the result's metadata holds a line of text for each that is not allowed."""
        broken: list[str] = []
        roots: list[str] = self.modules  # type: ignore[assignment]  # import-linter turns fields into values at run time
        for root in roots:
            family = {root, *graph.find_descendants(root)}
            for importer in sorted(family):
                outside = graph.find_modules_directly_imported_by(importer) - family
                broken += [line for imported in sorted(outside) for line in self._offences(graph, importer, imported)]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print what `check` found."""
        for line in check.metadata["broken"]:
            output.print_error(line, bold=False)
        output.new_line()

    def _offences(self, graph: ImportGraph, importer: str, imported: str) -> list[str]:
        allowed: set[str] = self.allowed  # type: ignore[assignment]
        if imported in allowed:
            return []
        # The graph knows a package outside this project by its top-level name alone; the line itself tells the rest.
        parts = [name for name in allowed if name.startswith(f"{imported}.")]
        return [
            f"{importer} may not import {imported} (line {detail['line_number']}: {detail['line_contents']})"
            for detail in graph.get_import_details(importer=importer, imported=imported)
            if not any(name in detail["line_contents"] for name in parts)
        ]

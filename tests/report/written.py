# SPDX-License-Identifier: GPL-2.0-or-later
"""When what was reported is on disk."""

from gateway.report.reporter import EventReporter


async def written(reporter: EventReporter) -> None:
    """Wait until all that was reported is: what is to be reported after this turn of the loop included."""
    reporter.settle()
    await reporter._journal.flush()

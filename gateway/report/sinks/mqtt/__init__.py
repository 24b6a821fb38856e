# SPDX-License-Identifier: GPL-2.0-or-later
"""The MQTT broker: events by the journal, and beside them the status, queue snapshots, commands and replies."""

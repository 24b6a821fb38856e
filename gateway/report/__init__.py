# SPDX-License-Identifier: GPL-2.0-or-later
"""Where outcomes leave: events through a durable outbox to MQTT, and metrics."""

# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers as OpenTelemetry traces, for who follows a call through all that it goes through."""

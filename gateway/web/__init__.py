# SPDX-License-Identifier: GPL-2.0-or-later
"""What is served over HTTP: metrics, health and the JSON API."""

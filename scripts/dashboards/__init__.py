# SPDX-License-Identifier: GPL-2.0-or-later
"""Grafana's dashboards, written to deploy/grafana/dashboards/*.json by `python -m scripts.dashboards`."""

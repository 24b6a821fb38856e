# SPDX-License-Identifier: GPL-2.0-or-later
"""Three gateways behind a real Kamailio with deploy/kamailio's configuration, between a platform over TLS and a PBX."""

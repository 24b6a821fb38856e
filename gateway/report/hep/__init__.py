# SPDX-License-Identifier: GPL-2.0-or-later
"""HEPv3: what calls send and receive goes to a capture server, such as Homer's heplify-server."""

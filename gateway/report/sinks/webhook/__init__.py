# SPDX-License-Identifier: GPL-2.0-or-later
"""Events to HTTP servers of others: webhooks, signed as Standard Webhooks 1.0 says."""

# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway beside Asterisk, given the same work: `make bench`. What a transfer takes: `make bench-quick`."""

# SPDX-License-Identifier: GPL-2.0-or-later
"""One call as a pure machine: its legs, who is with whom, and the transfers under way for it."""

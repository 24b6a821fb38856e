# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a release: decides whether it may be, builds its files, and tells what is left for a person to do."""

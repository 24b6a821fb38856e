# SPDX-License-Identifier: GPL-2.0-or-later
"""What the release before has left on disk, taken over by this one: see record.sh for how it was made."""

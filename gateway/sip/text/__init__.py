# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in SIP messages, read with mistrust and written with care. Pure: text in, values out."""

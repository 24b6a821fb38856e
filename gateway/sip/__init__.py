# SPDX-License-Identifier: GPL-2.0-or-later
"""PJSIP, and nothing but PJSIP: the gateway's legs, the REFERs it receives and the NOTIFYs it sends."""

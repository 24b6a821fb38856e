# SPDX-License-Identifier: GPL-2.0-or-later
"""The container's image, built of this tree's Dockerfile and run, and what deploy/compose.yaml starts."""

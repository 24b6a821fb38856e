# SPDX-License-Identifier: GPL-2.0-or-later
"""`make docs`: the documents as a site, and a reference that is made of the code each time."""

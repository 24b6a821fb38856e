# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests share: fakes, the playbook, and the test bed of real servers and phones."""

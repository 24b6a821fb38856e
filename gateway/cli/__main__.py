# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m gateway.cli` is the command `transfer-gateway`."""

import sys

from gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())

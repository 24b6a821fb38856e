#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Pins the newest releases that requirements*.in allow, each with the hashes of all its files, so that the same lock
# serves every Python and processor. Where the packages come from is this machine's business and stays out of the files.
set -euo pipefail
cd "$(dirname "$0")/.."

# An index of one's own beside the usual one may hold some of a release's files only, and so some of its hashes only.
export PIP_EXTRA_INDEX_URL="" PIP_FIND_LINKS=""
for name in requirements requirements-watch requirements-traces requirements-dev requirements-docs; do
    printf 'lock: %s.txt\n' "$name"
    .venv/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file "$name.txt" "$name.in"
done

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Draws docs/pictures/*.png: the dashboards with Grafana's own components in a real Chromium, from what a real Prometheus
# answers to their queries after a mixed load. Needs Node.js, npm and Chromium (apt-get install nodejs npm chromium).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
command -v chromium > /dev/null || { echo "dashboards: chromium is needed to draw them" >&2; exit 1; }

work=$("$here/build.sh")
mkdir -p "$root/docs/pictures"
(cd "$root" && .venv/bin/python -m tests.deploy.recorded "$work/recorded.json")
cd "$work"
{ printf 'window.RECORDED='; cat recorded.json; } > recorded.js

for board in transfers:1880 queues:1400 gateway:2740; do
    profile=$(mktemp -d)
    chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --allow-file-access-from-files --user-data-dir="$profile" \
        --hide-scrollbars --window-size="1440,${board#*:}" --virtual-time-budget=8000 \
        --screenshot="$root/docs/pictures/${board%:*}.png" "file://$work/page.html?board=${board%:*}" 2> chromium.log \
        || { cat chromium.log >&2; exit 1; }
    rm -rf "$profile"
    echo "$root/docs/pictures/${board%:*}.png"
done

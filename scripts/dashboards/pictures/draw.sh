#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Draws docs/pictures/*.png: the dashboards with Grafana's own components in a real Chromium, from what a real Prometheus
# answers to their queries after a mixed load. Needs Node.js, npm and Chromium (apt-get install nodejs npm chromium).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work="${TRANSFER_GATEWAY_CACHE:-$HOME/.cache/transfer-gateway}/grafana-pictures"
for program in npm chromium; do
    command -v "$program" > /dev/null || { echo "dashboards: $program is needed to draw them" >&2; exit 1; }
done

mkdir -p "$work" "$root/docs/pictures"
cp "$here"/{package.json,package-lock.json,draw.tsx,page.html} "$work"
(cd "$root" && .venv/bin/python -m tests.deploy.recorded "$work/recorded.json")
cd "$work"
{ printf 'window.RECORDED='; cat recorded.json; } > recorded.js
cmp --silent package-lock.json node_modules/.drawn-with || npm ci --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps
cp package-lock.json node_modules/.drawn-with
npx esbuild draw.tsx --bundle --outfile=draw.js --format=iife --platform=browser --jsx=automatic --log-level=error \
    --define:process.env.NODE_ENV='"production"' --define:global=window \
    --loader:.svg=dataurl --loader:.woff2=dataurl --loader:.css=empty

for board in transfers:1880 queues:1400 gateway:1960; do
    profile=$(mktemp -d)
    chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --allow-file-access-from-files --user-data-dir="$profile" \
        --hide-scrollbars --window-size="1440,${board#*:}" --virtual-time-budget=8000 \
        --screenshot="$root/docs/pictures/${board%:*}.png" "file://$work/page.html?board=${board%:*}" 2> chromium.log \
        || { cat chromium.log >&2; exit 1; }
    rm -rf "$profile"
    echo "$root/docs/pictures/${board%:*}.png"
done

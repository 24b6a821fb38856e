#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bundles draw.tsx with Grafana's own components for a browser, unless that is done already, and prints the directory
# in which page.html shows it. Needs Node.js and npm (apt-get install nodejs npm), and the first time the network.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work="${TRANSFER_GATEWAY_CACHE:-$HOME/.cache/transfer-gateway}/grafana-pictures"
command -v npm > /dev/null || { echo "npm is needed to draw them (apt-get install nodejs npm)" >&2; exit 1; }

mkdir -p "$work"
cd "$work"
exec 9> lock
flock 9
cp "$here"/{package.json,package-lock.json,draw.tsx,page.html} .
if ! sha256sum --check --status built 2> /dev/null; then
    cmp --silent package-lock.json node_modules/.drawn-with \
        || npm ci --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps >&2
    cp package-lock.json node_modules/.drawn-with
    npx esbuild draw.tsx --bundle --outfile=draw.js --format=iife --platform=browser --jsx=automatic --log-level=error \
        --define:process.env.NODE_ENV='"production"' --define:global=window \
        --loader:.svg=dataurl --loader:.woff2=dataurl --loader:.css=empty >&2
    sha256sum package-lock.json draw.tsx draw.js > built
fi
echo "$work"

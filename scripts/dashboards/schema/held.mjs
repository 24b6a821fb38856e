// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a TypeScript file that assigns each dashboard to Grafana's own type of one: node held.mjs DIRECTORY > held.ts
// The compiler then finds each key that Grafana does not know, and each value of a type that it does not take.
import fs from "node:fs";

const directory = process.argv[2];
const lines = [
  'import type { Dashboard } from "@grafana/schema";',
  "// JSON has the values of enumerations, not their names.",
  "type Json<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T",
  "  : T extends (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;",
];
for (const file of fs.readdirSync(directory).sort()) {
  const name = file.replace(".json", "");
  lines.push(`export const ${name}: Json<Dashboard> = ${fs.readFileSync(`${directory}/${file}`, "utf8").trim()};`);
}
console.log(lines.join("\n"));

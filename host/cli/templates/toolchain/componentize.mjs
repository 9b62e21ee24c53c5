/**
 * Bundles a plugin into one module and makes it a component. Run by `annals plugin build`, in the
 * folder of the toolchain, with its options in JSON.
 */

import { writeFile } from "node:fs/promises";

import { componentize } from "@bytecodealliance/componentize-js";
import { build } from "esbuild";

const { plugin, main, version, description, wit, output } = JSON.parse(process.argv[2]);

/** The module whose exports are those of the component. */
const entry = `
  import { component } from "annals-sdk/component";
  import { write } from "annals:plugin/log@0.1.0";
  import plugin from ${JSON.stringify(`./${main}`)};
  const manifest = ${JSON.stringify({ version, description })};
  export const { descriptor, aggregate } = component(plugin, manifest, write);
`;

/** @param {string} message @returns {never} */
function giveUp(message) {
  console.error(message);
  process.exit(1);
}

// What does not bundle, esbuild has said.
const { outputFiles: [bundle] } = await build({
  stdin: { contents: entry, resolveDir: plugin, sourcefile: "component.js" },
  absWorkingDir: plugin,
  bundle: true,
  external: ["annals:*"],
  format: "esm",
  logLevel: "warning",
  mainFields: ["module", "main"],
  platform: "neutral",
  target: "es2023",
  write: false,
}).catch(() => process.exit(1));

const { component } = await componentize(bundle.text, {
  // No feature, no import: a component then asks for nothing but `log`.
  disableFeatures: ["random", "stdio", "clocks", "http", "fetch-event"],
  witPath: wit,
  worldName: "aggregate-plugin",
}).catch((error) => giveUp(error.message));

await writeFile(output, component);

import { fileURLToPath } from "node:url";
import { messageOf } from "../../../data/text/error-message.ts";
import { UserError } from "../../../kernels/runtime/user-error.ts";

/**
 * A module and all that it imports as one script for browsers. Deno's own bundler makes it; at its
 * first use Deno fetches esbuild from npm, and keeps it.
 *
 * @param entry address of a file of this program
 * @throws UserError if the bundler cannot be had
 */
export async function bundle(entry: URL): Promise<string> {
  const { success, errors, outputFiles } = await Deno.bundle({
    entrypoints: [fileURLToPath(entry)],
    platform: "browser",
    minify: true,
    write: false,
  }).catch((error) => {
    throw new UserError(
      `The page's script cannot be bundled: ${
        messageOf(error)
      }. Deno fetches its bundler, esbuild, ` +
        `from npm once: check the network connection`,
    );
  });
  const script = outputFiles?.[0]?.text();
  if (success && script !== undefined) return script;
  throw new UserError(
    `The page's script cannot be bundled: ${errors.map(({ text }) => text).join("; ")}`,
  );
}

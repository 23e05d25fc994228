import { UserError } from "../../kernels/runtime/user-error.ts";
import { harness } from "./harness.ts";
import { official } from "./official.ts";
import type { Protocol } from "./protocol.ts";
import { sft } from "./sft.ts";
import { steelBase } from "./steel-base.ts";
import { steelChat } from "./steel-chat.ts";

const PROTOCOLS: Record<string, Protocol> = {
  official,
  harness,
  "steel-base": steelBase,
  "steel-chat": steelChat,
  sft,
};

/** The names of the protocols. */
export const PROTOCOL_NAMES: readonly string[] = Object.keys(PROTOCOLS);

/** The protocol of that name. @throws {UserError} when there is none */
export function protocolNamed(name: string): Protocol {
  if (Object.hasOwn(PROTOCOLS, name)) return PROTOCOLS[name];
  throw new UserError(
    `--protocol: there is no protocol ${name}; expected ${PROTOCOL_NAMES.join(", ")}`,
  );
}

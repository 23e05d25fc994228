import { defineOperator, mapper } from "./operator.ts";
import { requireLiteral, substitute, wrappedPattern } from "./python-pattern.ts";

const BYTE = "(?:1[0-9][0-9]|2[0-4][0-9]|25[0-5]|[1-9][0-9]|[0-9])";
const HEX_DIGITS = "[\\p{Nd}a-fA-F]{1,4}";
const ADDRESS = new RegExp(`(?:${BYTE}\\.){3}${BYTE}|(?:${HEX_DIGITS}:){7}${HEX_DIGITS}`, "gu");

/** Every IPv4 and IPv6 address matches this quick test; most texts do not and are not searched. */
const HINT = /\d\.\d|[\p{Nd}a-fA-F]:[\p{Nd}a-fA-F]/u;

/**
 * Removes IPv4 addresses and IPv6 addresses without `::`, or what `pattern` matches. There are no
 * boundaries: `v1.2.3.4` becomes `v`, and `2024.10.12.3` becomes `20`.
 */
export const cleanIpMapper = defineOperator(
  "clean_ip_mapper",
  { pattern: null, repl: "" },
  ({ pattern, repl }) => {
    requireLiteral(repl, "clean_ip_mapper.repl");
    if (pattern === null) {
      return mapper((text) => HINT.test(text) ? substitute(text, ADDRESS, repl) : text);
    }
    const custom = wrappedPattern(pattern, "clean_ip_mapper.pattern");
    return mapper((text) => substitute(text, custom, repl));
  },
);

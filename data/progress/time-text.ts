const UNITS: [string, number][] = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

/** A duration in its two largest units, such as `45s`, `3m05s`, `2h30m` or `4d02h`. */
export function timeText(seconds: number): string {
  const whole = Math.round(seconds);
  const first = UNITS.findIndex(([, length]) => whole >= length);
  if (first === -1) return "0s";
  const [[name, length], next] = [UNITS[first], UNITS[first + 1]];
  if (next === undefined) return `${whole}s`;
  const rest = Math.floor((whole % length) / next[1]).toString().padStart(2, "0");
  return `${Math.floor(whole / length)}${name}${rest}${next[0]}`;
}

import { distance } from "fastest-levenshtein";

/** The candidate most like a mistyped name, whole or by its last part, whatever its case or dashes. */
export function nearest(name: string, candidates: string[]): string {
  const distances = candidates.map((candidate) => {
    const lastPart = candidate.slice(candidate.lastIndexOf(".") + 1);
    return Math.min(
      distance(plain(name), plain(candidate)),
      distance(plain(name), plain(lastPart)),
    );
  });
  return candidates[distances.indexOf(Math.min(...distances))];
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, "");
}

import { distance } from "fastest-levenshtein";

/** Share of a name's letters that may be mistyped. */
const MISTYPED = 0.4;

/** What other programs call a thing, without dashes, and what it may be called here. */
const ALIASES: Record<string, string[]> = {
  lr: ["learningRate"],
  minlr: ["minimumLearningRate"],
  epochs: ["epochs", "steps"],
  numtrainepochs: ["epochs", "steps"],
  numepochs: ["epochs", "steps"],
  maxsteps: ["steps"],
  iterations: ["steps"],
  batchsize: ["batch", "microBatch"],
  perdevicetrainbatchsize: ["microBatch"],
  gradientaccumulationsteps: ["accumulation", "batch"],
  maxgradnorm: ["clip"],
  seqlen: ["sequence", "cutoff"],
  maxlength: ["sequence", "cutoff"],
  cutofflen: ["cutoff", "sequence"],
  dataset: ["sets", "source"],
  outputdir: ["dir"],
  modelnameorpath: ["path"],
};

/**
 * The end of an error about an unknown name: `; did you mean "train.steps"?` if a candidate is near
 * or what other programs' word stands for, else a full stop. Case, dashes and the sections before a
 * point do not count. Names that differ by their section alone are all given.
 */
export function didYouMean(name: string, candidates: readonly string[]): string {
  const found = nearest(name, candidates);
  return found.length === 0
    ? "."
    : `; did you mean ${found.map((each) => `"${each}"`).join(" or ")}?`;
}

function nearest(name: string, candidates: readonly string[]): string[] {
  const typed = lastPart(name);
  const named = (wanted: string) => candidates.filter((each) => lastPart(each) === plain(wanted));
  const meant = (Object.hasOwn(ALIASES, typed) ? ALIASES[typed] : []).map(named)
    .find((each) => each.length > 0);
  if (meant) return meant;
  const distances = candidates.map((each) => distance(typed, lastPart(each)));
  const least = Math.min(...distances);
  if (least > Math.max(1, Math.floor(MISTYPED * typed.length))) return [];
  const section = name.slice(0, name.lastIndexOf(".") + 1);
  const same = named(candidates[distances.indexOf(least)].replace(/^.*\./, ""));
  const inSection = same.filter((each) => section !== "" && each.startsWith(section));
  return inSection.length > 0 ? inSection : same;
}

function lastPart(name: string): string {
  return plain(name.slice(name.lastIndexOf(".") + 1));
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, "");
}

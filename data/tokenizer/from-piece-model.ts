import { UserError } from "../../kernels/runtime/user-error.ts";
import { parsePieceModel, type PieceModel } from "./piece-model.ts";

/** What SentencePiece writes for a space. */
const SPACE = "▁";

/** No model has longer ones; all ways to join a piece are tried. */
const LONGEST_PIECE = 1000;

/**
 * The `tokenizer.json` of a SentencePiece BPE, as transformers makes it of Llama's `tokenizer.model`.
 *
 * @param bytes the file
 * @param config `tokenizer_config.json`; `add_bos_token` says whether a text begins with a mark
 * @param path what errors call the file
 * @returns the tokenizer, and the special tokens that its model names
 * @throws UserError if it is no SentencePiece model, or of a type or with a normalisation that Llama's
 *   do not have
 */
export function fromPieceModel(
  bytes: Uint8Array,
  config: Record<string, unknown>,
  path: string,
): { tokenizer: Record<string, unknown>; special: Record<string, string> } {
  const model = parsePieceModel(bytes, path);
  requireAsLlamas(model, path);
  const { pieces, ids: { bos, eos, pad }, normalizer: { addsSpace } } = model;
  const named = Object.entries({
    bos_token: pieces[bos]?.text,
    eos_token: pieces[eos]?.text,
    pad_token: pieces[pad]?.text,
    unk_token: pieces.find(({ kind }) => kind === "unknown")?.text,
  }).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const special = Object.fromEntries(named);
  const replace = { type: "Replace", pattern: { String: " " }, content: SPACE };
  const decoders = [
    { type: "Replace", pattern: { String: SPACE }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
  ];
  const begins = bos >= 0 && config.add_bos_token !== false;
  return {
    special,
    tokenizer: {
      added_tokens: pieces.flatMap(({ text, kind }, id) => {
        const isSpecial = kind === "control" || kind === "unknown";
        if (!isSpecial && kind !== "user defined") return [];
        return [{ id, content: text, special: isSpecial, normalized: false }];
      }),
      normalizer: addsSpace
        ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: SPACE }, replace] }
        : replace,
      pre_tokenizer: null,
      post_processor: begins ? textBehind(special.bos_token, bos) : null,
      decoder: {
        type: "Sequence",
        decoders: addsSpace
          ? [...decoders, { type: "Strip", content: " ", start: 1, stop: 0 }]
          : decoders,
      },
      model: {
        ...{ type: "BPE", unk_token: special.unk_token, fuse_unk: true },
        byte_fallback: pieces.some(({ kind }) => kind === "byte"),
        vocab: Object.fromEntries(pieces.map(({ text }, id) => [text, id])),
        merges: mergesOf(model),
      },
    },
  };
}

function requireAsLlamas({ type, normalizer, pieces }: PieceModel, path: string): void {
  const other = type !== "bpe"
    ? `is of the type ${type}`
    : normalizer.replacesCharacters
    ? "replaces characters (its normalizer_spec has a precompiled_charsmap)"
    : normalizer.removesSpaces
    ? "removes spaces (its normalizer_spec has remove_extra_whitespaces)"
    : pieces.some(({ kind }) => kind === undefined)
    ? "has pieces of an unknown type"
    : pieces.some(({ text }) => text.length > LONGEST_PIECE)
    ? `has a piece of more than ${LONGEST_PIECE} characters`
    : undefined;
  if (other === undefined) return;
  throw new UserError(
    `${path}: this SentencePiece model ${other}; of a lone tokenizer.model, BPEs as Llama's can be ` +
      `read. Let transformers save it as tokenizer.json`,
  );
}

/** A text with a mark before it. */
function textBehind(token: string, id: number): Record<string, unknown> {
  const mark = { SpecialToken: { id: token, type_id: 0 } };
  const [text, second] = ["A", "B"].map((id, type_id) => ({ Sequence: { id, type_id } }));
  return {
    type: "TemplateProcessing",
    single: [mark, text],
    pair: [mark, text, { SpecialToken: { id: token, type_id: 1 } }, second],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

/**
 * The merges of a SentencePiece BPE, which keeps none: it always joins the two neighbours whose piece
 * has the highest score. So each way to join two pieces into a third is a merge, in the order of these
 * scores, and of one piece in the order of the two that it is joined from.
 */
function mergesOf({ pieces }: PieceModel): string[] {
  const ids = new Map(
    pieces.flatMap(({ text, kind }, id) => kind === "normal" ? [[text, id] as const] : []),
  );
  const merges = [...ids].flatMap(([text, id]) => {
    const characters = [...text];
    return characters.slice(1).flatMap((_, i) => {
      const left = characters.slice(0, i + 1).join("");
      const right = characters.slice(i + 1).join("");
      const [first, second] = [ids.get(left), ids.get(right)];
      if (first === undefined || second === undefined) return [];
      return [{ merge: `${left} ${right}`, score: pieces[id].score, id, first, second }];
    });
  });
  return merges
    .toSorted((a, b) =>
      b.score - a.score || a.id - b.id || a.first - b.first || a.second - b.second
    )
    .map(({ merge }) => merge);
}

import type { Slice } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/** A run of elements of a trained tensor. */
export interface ShardPiece extends Slice {
  /** The parameter. */
  readonly tensor: Tensor;
}

/**
 * How numbers travel: as they are; rounded to the upper half of an f32; or as whole numbers of 8 bits,
 * with one scale for each block of 128 (as in ZeRO++: Wang et al., arXiv 2306.10209).
 */
export type ExchangeFormat = "f32" | "bf16" | "int8";

/** The part of a piece that is in a chunk. */
export interface ChunkSection extends ShardPiece {
  /** How its numbers travel. */
  readonly type: "f32" | "f16" | "bf16" | "int8";
  /** Its first word in the chunk. */
  readonly word: number;
  /** Words that it takes. */
  readonly words: number;
}

/** What travels in one go between two ranks. */
export interface Chunk {
  /** In order; each begins at a multiple of 256 bytes, so that kernels can bind it. */
  readonly sections: readonly ChunkSection[];
  /** Words of 4 bytes that travel, gaps between sections included. */
  readonly words: number;
}

/**
 * Pieces end at multiples of so many elements: 256 bytes of f16, the finest that can be bound. In int8
 * so many share a scale.
 */
export const GRAIN = 128;
/** Words that so many elements take. Of int8: four elements a word, and the scale. */
const GRAIN_WORDS = { f32: GRAIN, f16: GRAIN / 2, bf16: GRAIN / 2, int8: GRAIN / 4 + 1 } as const;
/** A tensor with as many elements for each rank is cut alone. */
const LARGE = 2 ** 20;
/** Sections begin at multiples of so many words. */
export const SECTION_WORDS = 64;

/**
 * Shares tensors out: each large one is cut into equal parts, one a rank, so that whenever one is
 * ready to travel, all ranks have something to give. The others are laid one behind the other first;
 * those with a copy in f16 apart, since the two kinds cost a rank different memory.
 *
 * @returns the pieces of each rank, in the order of the tensors
 */
export function shardsOf(tensors: readonly Tensor[], ranks: number): ShardPiece[][] {
  const shards: ShardPiece[][] = Array.from({ length: ranks }, () => []);
  const cutTogether = (tensor: Tensor) =>
    tensor.size >= LARGE * ranks ? tensor : tensor.half !== undefined;
  for (const kind of Map.groupBy(tensors, cutTogether).values()) {
    const total = kind.reduce((sum, { size }) => sum + size, 0);
    let begin = 0;
    for (const tensor of kind) {
      const border = (rank: number): number => {
        const place = Math.max(0, total * rank / ranks - begin);
        return place >= tensor.size
          ? tensor.size
          : Math.min(tensor.size, Math.round(place / GRAIN) * GRAIN);
      };
      shards.forEach((pieces, rank) => {
        const [first, end] = [border(rank), border(rank + 1)];
        if (end > first) pieces.push({ tensor, first, count: end - first });
      });
      begin += tensor.size;
    }
  }
  const place = new Map(tensors.map((tensor, index) => [tensor, index]));
  return shards.map((pieces) =>
    pieces.toSorted((a, b) => place.get(a.tensor)! - place.get(b.tensor)!)
  );
}

/** How a piece's gradient travels: rounded only where vectors, or blocks with one scale, are whole. */
export function gradientType({ count }: ShardPiece, format: ExchangeFormat): ExchangeFormat {
  const unit = { f32: 1, bf16: 4, int8: GRAIN }[format];
  return count % unit === 0 ? format : "f32";
}

/**
 * How a piece's new weights travel: f16 where the network reads nothing else; otherwise as weights in
 * f32, or in bf16 or int8 as what is to be added to the old ones.
 *
 * @param isWhole whether every rank keeps the tensor whole in f32
 */
export function weightType(
  piece: ShardPiece,
  format: ExchangeFormat,
  isWhole: (tensor: Tensor) => boolean,
): ChunkSection["type"] {
  return isWhole(piece.tensor) ? gradientType(piece, format) : "f16";
}

/**
 * Puts pieces into chunks, in order.
 *
 * @param capacity words of a chunk, a multiple of 64
 */
export function chunksOf(
  pieces: readonly ShardPiece[],
  capacity: number,
  typeOf: (piece: ShardPiece) => ChunkSection["type"],
): Chunk[] {
  const chunks: { sections: ChunkSection[]; words: number }[] = [];
  for (const piece of pieces) {
    const type = typeOf(piece);
    for (let done = 0; done < piece.count;) {
      const used = roundUpTo(SECTION_WORDS, chunks.at(-1)?.words ?? capacity);
      const room = Math.floor((capacity - used) / GRAIN_WORDS[type]) * GRAIN;
      if (room === 0) {
        chunks.push({ sections: [], words: 0 });
        continue;
      }
      const count = Math.min(piece.count - done, room);
      const words = Math.ceil(count * GRAIN_WORDS[type] / GRAIN);
      const chunk = chunks.at(-1)!;
      const { tensor } = piece;
      chunk.sections.push({ tensor, first: piece.first + done, count, type, word: used, words });
      chunk.words = used + words;
      done += count;
    }
  }
  return chunks;
}

/** The next multiple of `unit`. */
export function roundUpTo(unit: number, value: number): number {
  return Math.ceil(value / unit) * unit;
}

import { UserError } from "../runtime/user-error.ts";
import { cString, fromCString, libc } from "./linux/libc.ts";

const SYMBOLS = {
  MPI_Init_thread: {
    parameters: ["pointer", "pointer", "i32", "buffer"],
    result: "i32",
    nonblocking: true,
  },
  MPI_Comm_rank: { parameters: ["u64", "buffer"], result: "i32" },
  MPI_Comm_size: { parameters: ["u64", "buffer"], result: "i32" },
  MPI_Comm_set_errhandler: { parameters: ["u64", "u64"], result: "i32" },
  MPI_Get_processor_name: { parameters: ["buffer", "buffer"], result: "i32" },
  MPI_Allgather: {
    parameters: ["buffer", "i32", "u64", "buffer", "i32", "u64", "u64"],
    result: "i32",
    nonblocking: true,
  },
  MPI_Isend: {
    parameters: ["buffer", "i32", "u64", "i32", "i32", "u64", "buffer"],
    result: "i32",
  },
  MPI_Irecv: {
    parameters: ["buffer", "i32", "u64", "i32", "i32", "u64", "buffer"],
    result: "i32",
  },
  MPI_Test: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
  MPI_Get_count: { parameters: ["buffer", "u64", "buffer"], result: "i32" },
  MPI_Cancel: { parameters: ["buffer"], result: "i32" },
  MPI_Finalize: { parameters: [], result: "i32", nonblocking: true },
  MPI_Abort: { parameters: ["u64", "i32"], result: "i32", nonblocking: true },
} as const satisfies Deno.ForeignLibraryInterface;

type Symbols = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** `MPI_THREAD_MULTIPLE` is asked for; what is needed is calls from any one thread at a time. */
const THREAD_MULTIPLE = 3;
const THREAD_SERIALIZED = 2;
const MAX_PROCESSOR_NAME = 256;
const STATUS_BYTES = 64;
/** dlopen: bind all now, and let the plugins of Open MPI find the library's symbols. */
const NOW_AND_GLOBAL = 0x2 | 0x100;

/**
 * What the two families call their constants. A handle is passed as 64 bits: a pointer of Open MPI,
 * or MPICH's int in the lower half of the register that C takes it from.
 */
interface Family {
  /** Names that the library goes by. */
  readonly libraries: readonly string[];
  readonly name: string;
  readonly install: string;
  readonly anySource: number;
  handles(): { world: bigint; byte: bigint; errorsReturn: bigint };
}

const OPEN_MPI: Family = {
  libraries: ["libmpi.so.40"],
  name: "Open MPI",
  install: "apt-get install -y --no-install-recommends openmpi-bin",
  anySource: -1,
  handles: () => ({
    world: addressOf("ompi_mpi_comm_world"),
    byte: addressOf("ompi_mpi_byte"),
    errorsReturn: addressOf("ompi_mpi_errors_return"),
  }),
};

/** Its own name, which Intel's library has too, with the same handles; and Debian's. */
const MPICH: Family = {
  libraries: ["libmpi.so.12", "libmpich.so.12"],
  name: "MPICH",
  install: "apt-get install -y --no-install-recommends mpich",
  anySource: -2,
  handles: () => ({ world: 0x44000000n, byte: 0x4c00010dn, errorsReturn: 0x54000001n }),
};

/** A message under way. */
export interface PendingMessage {
  /** MPI's own handle: 64 bits, or MPICH's 32. */
  readonly handle: BigUint64Array<ArrayBuffer>;
  /** What is sent or filled: kept reachable as long as MPI may touch it. */
  readonly bytes: Uint8Array;
}

/**
 * MPI through FFI, as far as ranks need it: who is there, a small all-gather to start with, and
 * messages between two ranks, which are asked for instead of waited for, so that every wait can
 * end. The library moves messages on only while it is asked.
 */
export class Mpi {
  /** This process among all. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** Name of the machine. */
  readonly host: string;
  readonly #flag = new Int32Array(1);
  readonly #status = new Uint8Array(STATUS_BYTES);

  private constructor(
    private readonly symbols: Symbols,
    private readonly family: Family,
    private readonly handles: ReturnType<Family["handles"]>,
  ) {
    const number = new Int32Array(1);
    check(
      "MPI_Comm_set_errhandler",
      symbols.MPI_Comm_set_errhandler(handles.world, handles.errorsReturn),
    );
    check("MPI_Comm_rank", symbols.MPI_Comm_rank(handles.world, bytesOf(number)));
    this.rank = number[0];
    check("MPI_Comm_size", symbols.MPI_Comm_size(handles.world, bytesOf(number)));
    this.size = number[0];
    const name = new Uint8Array(MAX_PROCESSOR_NAME);
    check("MPI_Get_processor_name", symbols.MPI_Get_processor_name(name, bytesOf(number)));
    this.host = fromCString(name);
  }

  /**
   * Opens the library and starts it together with the other ranks.
   *
   * @param openMpi whether a launcher of Open MPI started this rank; otherwise MPICH is tried first
   * @throws UserError with the command that installs MPI, if there is none
   */
  static async start(openMpi: boolean): Promise<Mpi> {
    const families = openMpi ? [OPEN_MPI] : [MPICH, OPEN_MPI];
    const [found] = families.flatMap((family) =>
      family.libraries.filter(canLoad).map((library) => ({ family, library }))
    );
    if (found === undefined) {
      const names = families.flatMap(({ libraries }) => libraries).join(" or ");
      throw new UserError(
        `This process is a rank of several, but ${names} could not be opened. Install ` +
          `${families[0].name}: as root, apt-get update && ${
            families[0].install
          }; elsewhere, put ` +
          `its folder into LD_LIBRARY_PATH.`,
      );
    }
    const { family, library } = found;
    const { symbols } = Deno.dlopen(library, SYMBOLS);
    const provided = new Int32Array(1);
    check(
      "MPI_Init_thread",
      await symbols.MPI_Init_thread(null, null, THREAD_MULTIPLE, bytesOf(provided)),
    );
    if (provided[0] < THREAD_SERIALIZED) {
      throw new UserError(
        `This ${family.name} was built without threads (level ${provided[0]}); one with ` +
          `MPI_THREAD_SERIALIZED or more is needed: ${family.install}.`,
      );
    }
    return new Mpi(symbols, family, family.handles());
  }

  /** Every rank's bytes, equally many, in the order of ranks. Blocks a thread until all are there. */
  async allGather(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>[]> {
    const { world, byte } = this.handles;
    const { length } = bytes;
    const all = new Uint8Array(length * this.size);
    check(
      "MPI_Allgather",
      await this.symbols.MPI_Allgather(bytes, length, byte, all, length, byte, world),
    );
    return Array.from({ length: this.size }, (_, i) => all.subarray(i * length, (i + 1) * length));
  }

  /** Begins to send; the bytes must stay unchanged until {@linkcode arrived}. */
  send(bytes: Uint8Array, to: number, tag: number): PendingMessage {
    const request = { handle: new BigUint64Array(1), bytes };
    const { world, byte } = this.handles;
    check(
      "MPI_Isend",
      this.symbols.MPI_Isend(
        foreign(bytes),
        bytes.length,
        byte,
        to,
        tag,
        world,
        bytesOf(request.handle),
      ),
    );
    return request;
  }

  /** Begins to receive at most as many bytes as there is room for, from one rank or any. */
  receive(bytes: Uint8Array, from: number | "any", tag: number): PendingMessage {
    const request = { handle: new BigUint64Array(1), bytes };
    const { world, byte } = this.handles;
    const source = from === "any" ? this.family.anySource : from;
    check(
      "MPI_Irecv",
      this.symbols.MPI_Irecv(
        foreign(bytes),
        bytes.length,
        byte,
        source,
        tag,
        world,
        bytesOf(request.handle),
      ),
    );
    return request;
  }

  /** Bytes of a message that is through, undefined while it is under way; true once only. */
  arrived(request: PendingMessage): number | undefined {
    const { symbols } = this;
    check("MPI_Test", symbols.MPI_Test(bytesOf(request.handle), bytesOf(this.#flag), this.#status));
    if (this.#flag[0] === 0) return undefined;
    const count = new Int32Array(1);
    check("MPI_Get_count", symbols.MPI_Get_count(this.#status, this.handles.byte, bytesOf(count)));
    return count[0];
  }

  /** Gives up a receive that nobody has sent for. */
  cancel(request: PendingMessage): void {
    this.symbols.MPI_Cancel(bytesOf(request.handle));
  }

  /** Parts from the other ranks; all must call it. */
  async finalize(): Promise<void> {
    await this.symbols.MPI_Finalize();
  }

  /** Ends all ranks through whatever started them, as far as that can. */
  async abort(): Promise<void> {
    await this.symbols.MPI_Abort(this.handles.world, 1);
  }
}

/** Loads a library for the whole process, if it is there. */
function canLoad(library: string): boolean {
  return libc().dlopen(cString(library), NOW_AND_GLOBAL) !== null;
}

function addressOf(symbol: string): bigint {
  const address = libc().dlsym(null, cString(symbol));
  if (address === 0n) throw new UserError(`${OPEN_MPI.libraries[0]} has no symbol ${symbol}.`);
  return address;
}

function check(call: string, error: number): void {
  if (error !== 0) throw new UserError(`${call} failed with MPI error ${error}.`);
}

function bytesOf(
  numbers: Int32Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(numbers.buffer);
}

/** Asked for its buffer, V8 moves a short array out of its heap, where it could be moved on. */
function foreign({ buffer, byteOffset, length }: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, length);
}

import { UserError } from "../runtime/user-error.ts";

/** A server that listens. */
export interface Listening {
  /** Where, such as `http://127.0.0.1:8080`. */
  readonly address: string;
  /** Takes no more requests, and ends when all have been answered. */
  close(): Promise<void>;
}

/**
 * Answers HTTP requests.
 *
 * @param where the address to listen on; port 0 takes a free one
 * @throws UserError if it may not listen there, or another program does
 */
export function listen(
  handle: (request: Request) => Response | Promise<Response>,
  where: { hostname: string; port: number },
): Listening {
  try {
    const server = Deno.serve({ ...where, onListen() {} }, handle);
    const { hostname, port } = server.addr;
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    return { address: `http://${host}:${port}`, close: () => server.shutdown() };
  } catch (error) {
    throw listenError(error, where);
  }
}

function listenError(error: unknown, { hostname, port }: { hostname: string; port: number }) {
  const place = `${hostname}:${port}`;
  if (error instanceof Deno.errors.NotCapable) {
    return new UserError(
      `This task may listen on 127.0.0.1 alone, not on ${place}. For another machine, a tunnel is ` +
        `enough: ssh -L ${port}:127.0.0.1:${port} THIS-MACHINE. To open the address itself, run the ` +
        `task's command in deno.json with --allow-net=${place} in place of --allow-net=127.0.0.1`,
    );
  }
  if (error instanceof Deno.errors.AddrInUse) {
    return new UserError(
      `Another program listens on ${place} already: give another --port, or 0 for a free one`,
    );
  }
  return new UserError(
    `It cannot listen on ${place}: ${error instanceof Error ? error.message : error}`,
  );
}

import { UserError } from "../../kernels/runtime/user-error.ts";

/** What may be wrong with a request, by its HTTP status, as OpenAI's `type`. */
const TYPES: Record<number, string> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  405: "invalid_request_error",
  408: "timeout_error",
  413: "invalid_request_error",
  415: "invalid_request_error",
  429: "rate_limit_error",
  500: "server_error",
  503: "server_error",
  504: "timeout_error",
};

/** What else OpenAI says of an error. */
export interface ApiErrorDetails {
  /** The parameter that is wrong. */
  readonly param?: string;
  /** A word for programs. */
  readonly code?: string;
  readonly headers?: Record<string, string>;
}

/** A request that is refused, or could not be answered; its message is for the person who sent it. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    message: string,
    private readonly details: ApiErrorDetails = {},
  ) {
    super(message);
  }

  /** The error that another one is to its sender, who is told nothing of the program's insides. */
  static of(error: unknown): ApiError {
    if (error instanceof ApiError) return error;
    if (error instanceof UserError) return new ApiError(400, error.message);
    return new ApiError(500, "The server failed; its log says why.");
  }

  /** As OpenAI's clients read it. */
  get body(): { error: Record<string, string | null> } {
    const { param = null, code = null } = this.details;
    return { error: { message: this.message, type: TYPES[this.status], param, code } };
  }

  /** As an answer of its own. */
  response(): Response {
    return Response.json(this.body, { status: this.status, headers: this.details.headers });
  }
}

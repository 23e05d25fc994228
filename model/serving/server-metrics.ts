/** Upper bounds of the classes in which times are counted, in seconds. */
const TIMES = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

/** How many times took how long. */
class TimeHistogram {
  readonly #counts = TIMES.map(() => 0);
  #count = 0;
  #sum = 0;

  add(seconds: number): void {
    TIMES.forEach((most, i) => this.#counts[i] += seconds <= most ? 1 : 0);
    this.#count++;
    this.#sum += seconds;
  }

  lines(name: string): string[] {
    return [
      ...TIMES.map((most, i) => `${name}_bucket{le="${most}"} ${this.#counts[i]}`),
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

/** What is so at the moment. */
export interface ServerState {
  readonly running: number;
  readonly waiting: number;
  readonly seats: number;
}

/** What a server counts, in Prometheus' text format (0.0.4). */
export class ServerMetrics {
  readonly #requests = new Map<number, number>();
  readonly #firstToken = new TimeHistogram();
  readonly #answer = new TimeHistogram();
  #promptTokens = 0;
  #addedTokens = 0;
  #gone = 0;

  /** Counts a response by its HTTP status. */
  addResponse(status: number): void {
    this.#requests.set(status, (this.#requests.get(status) ?? 0) + 1);
  }

  /** Counts a request whose sender has gone before its end. */
  addGone(): void {
    this.#gone++;
  }

  /** Notes how long a request waited for its first token. */
  addFirstToken(seconds: number): void {
    this.#firstToken.add(seconds);
  }

  /** Counts the tokens of a request that has ended, after so many seconds. */
  addAnswer(promptTokens: number, addedTokens: number, seconds: number): void {
    this.#promptTokens += promptTokens;
    this.#addedTokens += addedTokens;
    this.#answer.add(seconds);
  }

  /** All that was counted. */
  text({ running, waiting, seats }: ServerState): string {
    const statuses = [...this.#requests].sort(([a], [b]) => a - b)
      .map(([status, count]) => `steel_responses_total{status="${status}"} ${count}`);
    const families: [name: string, type: string, help: string, lines: string[]][] = [
      ["steel_responses_total", "counter", "Responses by HTTP status", statuses],
      single("steel_clients_gone_total", "counter", "Clients gone before the end", this.#gone),
      single("steel_prompt_tokens_total", "counter", "Tokens of prompts", this.#promptTokens),
      single("steel_added_tokens_total", "counter", "Tokens of answers", this.#addedTokens),
      single("steel_texts_running", "gauge", "Texts that are being written", running),
      single("steel_texts_waiting", "gauge", "Texts that wait for a seat", waiting),
      single("steel_seats", "gauge", "Texts that can be written at once", seats),
      single("steel_resident_bytes", "gauge", "Memory of the process", Deno.memoryUsage().rss),
      histogram("steel_first_token_seconds", "Time to the first token", this.#firstToken),
      histogram("steel_answer_seconds", "Time to the last token", this.#answer),
    ];
    return families.map(([name, type, help, lines]) =>
      [`# HELP ${name} ${help}.`, `# TYPE ${name} ${type}`, ...lines].join("\n") + "\n"
    ).join("");
  }
}

function single(
  name: string,
  type: string,
  help: string,
  value: number,
): [string, string, string, string[]] {
  return [name, type, help, [`${name} ${value}`]];
}

function histogram(
  name: string,
  help: string,
  times: TimeHistogram,
): [string, string, string, string[]] {
  return [name, "histogram", help, times.lines(name)];
}

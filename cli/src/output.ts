/** Two voices: plain lines for people, one JSON object a line for programs. Results on stdout, everything else on stderr. */
import type { Explanation } from './errors.ts';

export class Output {
  readonly json: boolean;
  /** Whether stdout is a terminal that can redraw a line. */
  readonly live: boolean;
  readonly #out: NodeJS.WriteStream;
  readonly #err: NodeJS.WriteStream;
  #statusShown = false;

  constructor(out: NodeJS.WriteStream, err: NodeJS.WriteStream, json: boolean) {
    this.#out = out;
    this.#err = err;
    this.json = json;
    this.live = !json && out.isTTY;
  }

  /** For people only. */
  line(text = ''): void {
    if (this.json) return;
    this.clearStatus();
    this.#out.write(`${text}\n`);
  }

  /** For programs only. */
  object(value: object): void {
    if (this.json) this.#out.write(`${JSON.stringify(value)}\n`);
  }

  /** What the command was asked for, in the voice that was asked for. */
  result(value: object, human: () => string): void {
    this.object(value);
    if (!this.json) this.line(human());
  }

  /** One line that the next one replaces; nothing where it cannot be replaced. */
  status(text: string): void {
    if (!this.live) return;
    this.#out.write(`\r\u001b[2K${text.slice(0, Math.max(20, (this.#out.columns || 80) - 1))}`);
    this.#statusShown = true;
  }

  clearStatus(): void {
    if (!this.#statusShown) return;
    this.#out.write('\r\u001b[2K');
    this.#statusShown = false;
  }

  notice(text: string): void {
    this.clearStatus();
    this.#err.write(`carapace: ${text}\n`);
  }

  error({ code, message }: Explanation): void {
    this.clearStatus();
    if (this.json) this.#err.write(`${JSON.stringify({ error: { code, message } })}\n`);
    else this.#err.write(`carapace: ${message} (${code})\n`);
  }
}

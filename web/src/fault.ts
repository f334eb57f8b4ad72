/** An expected failure: the name of a text in the table of strings, and what fills it in. */
import { type FaultName, faults, fill } from "./strings";

export class Fault extends Error {
  constructor(readonly text: FaultName, readonly detail = "") {
    super(detail ? `${text}: ${detail}` : text);
    this.name = "Fault";
  }
}

/** What a person reads about any error; only the short name of an unexpected one is shown. */
export function inWords(error: unknown): string {
  if (error instanceof Fault) return fill(faults[error.text], error.detail);
  const name = error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 120) : "unknown";
  return fill(faults.engine, name);
}

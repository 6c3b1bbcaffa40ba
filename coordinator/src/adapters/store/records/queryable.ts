/** What an operation runs on: the pool, or the client of a transaction. Instants and counts come back as text (int8), `numberOf` reads them. */
import type { QueryResult, QueryResultRow } from 'pg';

export interface Queryable {
  query<Row extends QueryResultRow>(text: string, values?: unknown[]): Promise<QueryResult<Row>>;
}

/** An int8 column as `pg` gives it. */
export type Int8 = string;

export function numberOf(value: Int8): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new Error(`the database holds ${value}, which is not a safe integer`);
  return number;
}

export function numberOrNull(value: Int8 | null): number | null {
  return value === null ? null : numberOf(value);
}

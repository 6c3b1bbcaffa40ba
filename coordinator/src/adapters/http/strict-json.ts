/**
 * JSON bodies, strictly. Content types are matched to the letter: Fastify has twice let a crooked one (a tab, trailing garbage) slip
 * past body validation (CVE-2026-25223, CVE-2026-3419). Texts that a database cannot keep are refused here, once for every route.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { CoordinatorError } from '../../errors.ts';

export const JSON_TYPE: RegExp = /^application\/json(?:; ?charset=utf-8)?$/i;

type Done = (error: Error | null, value?: unknown) => void;

export function strictJson(
  server: Pick<FastifyInstance, 'getDefaultJsonParser'>,
): (request: FastifyRequest, text: string, done: Done) => void {
  const parse = server.getDefaultJsonParser('error', 'error');
  return (request, text, done) => {
    if (text === '') return done(new CoordinatorError('REQUEST_INVALID', 'the body is empty'));
    void parse(request, text, (error, value) => {
      if (error !== null) done(error);
      else if (isStorable(value)) done(null, value);
      else
        done(
          new CoordinatorError('REQUEST_INVALID', 'a text in the body has a NUL character or half a surrogate pair'),
        );
    });
  };
}

function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0');
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, item]) => isStorable(key) && isStorable(item));
}

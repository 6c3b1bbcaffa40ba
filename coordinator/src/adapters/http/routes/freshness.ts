/** What others may keep of an answer, and for how long. */
import type { FastifyReply, FastifyRequest } from 'fastify';

export const IMMUTABLE = 'public, max-age=31536000, immutable';
/** It may be kept, but must be asked about each time: a channel moves, and another release may write a format otherwise. */
export const MOVING = 'no-cache';

/** Sets the validators, and says whether the asker has these very bytes already. */
export function isFresh(request: FastifyRequest, reply: FastifyReply, etag: string, caching: string): boolean {
  void reply.header('etag', etag).header('cache-control', caching);
  const known = request.headers['if-none-match'];
  return known === '*' || (known?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag) ?? false);
}

/** How long and how large the calls of clients and aggregators may be. */

/** Of a long-poll. */
export const MAX_WAIT_SECONDS = 30;
export const CALL_LIMIT: number = 16 * 1024;
/** The shares that one client deals to 254 others are 35 KB, a third more as text. */
export const MESSAGE_LIMIT: number = 128 * 1024;
export const CHUNK_LIMIT: number = 64 * 1024 * 1024;

/** What a coordinator's data directory tells the commands that are run beside it: the address and the admin key. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliError } from './errors.ts';

export interface Endpoint {
  readonly url: string;
  readonly pid: number;
}

export function adminKeyPath(dataDirectory: string): string {
  return join(dataDirectory, 'admin.key');
}

export function saveAdminKey(dataDirectory: string, key: string): void {
  mkdirSync(dataDirectory, { recursive: true });
  writeFileSync(adminKeyPath(dataDirectory), `${key}\n`, { mode: 0o600 });
}

export function readAdminKey(dataDirectory: string): string | null {
  return readText(adminKeyPath(dataDirectory))?.trim() ?? null;
}

export function saveEndpoint(dataDirectory: string, endpoint: Endpoint): void {
  writeFileSync(join(dataDirectory, 'endpoint.json'), `${JSON.stringify(endpoint)}\n`);
}

/** Where the coordinator of this directory listened last; null when none ever did. */
export function readEndpoint(dataDirectory: string): Endpoint | null {
  const text = readText(join(dataDirectory, 'endpoint.json'));
  return text === null ? null : (JSON.parse(text) as Endpoint);
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** A file that the user named. @throws CliError `FILE_UNREADABLE` */
export function readTextFile(path: string): string {
  return new TextDecoder().decode(readBytesFile(path));
}

/** @throws CliError `FILE_UNREADABLE` */
export function readBytesFile(path: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(readFileSync(path));
  } catch (cause) {
    throw new CliError('FILE_UNREADABLE', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** The enrolment authority on its own host: a key in a file, rosters signed with it. Nothing here speaks to a coordinator. */
import { writeFileSync } from 'node:fs';
import { AggregationError, parseClientId, readRoster, signRoster } from '@carapace/aggregation';
import type { ClientId, Member } from '@carapace/aggregation';
import {
  CryptoError,
  fromBase64url,
  fromHex,
  generateSigningKey,
  parsePublicKey,
  signingKeyFromSeed,
  systemRandom,
  toBase64url,
  toHex,
} from '@carapace/crypto';
import type { SigningKey } from '@carapace/crypto';
import { CliError } from './errors.ts';
import { readBytesFile, readTextFile } from './local-files.ts';

/** @returns the public key, base64url. @throws CliError `FILE_UNREADABLE` when the file is there already: a key is never overwritten */
export function makeAuthority(file: string): string {
  const key = generateSigningKey(systemRandom);
  try {
    writeFileSync(file, `${toHex(key.exportSeed())}\n`, { mode: 0o600, flag: 'wx', flush: true });
  } catch (cause) {
    throw new CliError('FILE_UNREADABLE', `${file} cannot be made: ${(cause as Error).message}`, { cause });
  }
  return toBase64url(key.publicKey);
}

export interface SignedClients {
  readonly out: string;
  readonly serial: number;
  readonly clients: number;
  readonly digest: string;
}

/** Revoked clients are left out. @throws CliError `FILE_UNREADABLE` */
export function signClients({
  list,
  key,
  serial,
  out,
}: {
  readonly list: string;
  readonly key: string;
  readonly serial: number;
  readonly out: string;
}): SignedClients {
  const members = readClients(list);
  const bytes = signRoster(readAuthority(key), serial, members);
  writeFileSync(out, bytes);
  return { out, serial, clients: members.length, digest: readRoster(bytes).digest };
}

/** base64url. @throws CliError `FILE_UNREADABLE` */
export function readRosterFile(file: string): string {
  const bytes = readBytesFile(file);
  parsed(file, 'a roster', () => readRoster(bytes));
  return toBase64url(bytes);
}

export function listRoster(roster: string): { readonly client: ClientId; readonly identity: string }[] {
  const { members } = readRoster(fromBase64url(roster));
  return members.map(({ client, identity }) => ({ client, identity: toBase64url(identity) }));
}

function readAuthority(file: string): SigningKey {
  const text = readTextFile(file).trim();
  return parsed(file, 'the key of an authority', () => signingKeyFromSeed(fromHex(text)));
}

function readClients(file: string): Member[] {
  const text = readTextFile(file);
  return parsed(file, 'a list of clients', () => {
    const { clients } = JSON.parse(text) as { clients: { id: string; publicKey: string; status: string }[] };
    return clients
      .filter(({ status }) => status === 'active')
      .map(({ id, publicKey }) => ({ client: parseClientId(id), identity: parsePublicKey(fromBase64url(publicKey)) }));
  });
}

function parsed<T>(file: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const known = cause instanceof AggregationError || cause instanceof CryptoError;
    if (!known && !(cause instanceof SyntaxError) && !(cause instanceof TypeError)) throw cause;
    throw new CliError('FILE_UNREADABLE', `${file} is not ${what}: ${cause.message}`, { cause });
  }
}

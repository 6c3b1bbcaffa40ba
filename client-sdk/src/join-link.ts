/** `<base URL>/join#cpt1.<id>.<secret>.<pin>`: the fragment stays out of every server's log. */
import { ClientError } from './errors.ts';

export interface JoinLink {
  /** Base URL of the coordinator, without a trailing slash. */
  readonly coordinator: string;
  /** The enrolment token, whole: what is sent to the coordinator. */
  readonly token: string;
  /** Fingerprint of the coordinator's key: whoever answers must hold that key. */
  readonly pin: string;
}

const TOKEN = /^cpt1\.[a-z2-7]{26}\.[A-Za-z0-9_-]{43}\.([A-Za-z0-9_-]{43})$/;

export function formatJoinLink(coordinator: string, token: string): string {
  return `${coordinator.replace(/\/+$/, '')}/join#${token}`;
}

/** @throws ClientError `JOIN_LINK_INVALID` */
export function parseJoinLink(text: string): JoinLink {
  const url = URL.parse(text.trim());
  const token = url?.hash.slice(1) ?? '';
  const pin = TOKEN.exec(token)?.[1];
  const known =
    url !== null &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.pathname.endsWith('/join') &&
    url.search === '' &&
    url.username + url.password === '';
  if (!known || pin === undefined) {
    throw new ClientError(
      'JOIN_LINK_INVALID',
      'expected `<base URL>/join#cpt1.<id>.<secret>.<pin>`: copy it whole, quotes around it in a shell',
    );
  }
  return { coordinator: `${url.origin}${url.pathname.slice(0, -'/join'.length)}`, token, pin };
}

/** Whether what is sent can be read on the way: plain HTTP to another host. The signatures still hold; privacy on the wire does not. */
export function isExposed(coordinator: string): boolean {
  const { protocol, hostname } = new URL(coordinator);
  return protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

import { formatJoinLink, parseJoinLink } from '@carapace/client-sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isExposed } from '../src/join-link.ts';

const ID = 'abcdefghijklmnopqrstuvwxyz';
const SECRET = 'A'.repeat(42) + '_';
const PIN = 'b'.repeat(42) + '-';
const TOKEN = `cpt1.${ID}.${SECRET}.${PIN}`;

describe('laws', () => {
  const text = (alphabet: string, length: number) =>
    fc.array(fc.constantFrom(...alphabet), { minLength: length, maxLength: length }).map((letters) => letters.join(''));
  const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const tokens = fc
    .tuple(text('abcdefghijklmnopqrstuvwxyz234567', 26), text(base64url, 43), text(base64url, 43))
    .map(([id, secret, pin]) => ({ token: `cpt1.${id}.${secret}.${pin}`, pin }));
  const bases = fc
    .tuple(
      fc.constantFrom('http', 'https'),
      fc.oneof(fc.domain(), fc.ipV4(), fc.constantFrom('localhost', '[::1]')),
      fc.option(fc.integer({ min: 1, max: 65_535 })),
      fc.array(fc.stringMatching(/^[a-z0-9-]{1,8}$/), { maxLength: 3 }),
    )
    .map(([scheme, host, port, path]) => [`${scheme}://${host}${port === null ? '' : `:${port}`}`, ...path].join('/'));

  test('a link that was made is read as it was made', () => {
    fc.assert(
      fc.property(bases, tokens, fc.constantFrom('', '/', '//'), (base, { token, pin }, slashes) => {
        const normal = new URL(base).href.replace(/\/$/, '');
        expect(parseJoinLink(formatJoinLink(base + slashes, token))).toEqual({ coordinator: normal, token, pin });
      }),
    );
  });

  test('total: any text is a link or JOIN_LINK_INVALID', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl({ withFragments: true })), (link) => {
        expect(() => parseJoinLink(link)).toThrow(/^JOIN_LINK_INVALID: /);
      }),
    );
  });

  test('a link with any character missing is refused, or is a link to elsewhere with the same token', () => {
    const link = `https://fl.example:8443/a/join#${TOKEN}`;
    for (let at = 0; at < link.length; at++) {
      const shorter = link.slice(0, at) + link.slice(at + 1);
      try {
        expect(parseJoinLink(shorter).token).toBe(TOKEN);
        expect(at).toBeLessThan(link.indexOf('/join'));
      } catch (error) {
        expect(error).toMatchObject({ code: 'JOIN_LINK_INVALID' });
      }
    }
  });
});

describe('stories', () => {
  test('spaces around it, as they come with copying', () => {
    expect(parseJoinLink(`\n  http://127.0.0.1:7878/join#${TOKEN} \r\n`)).toEqual({
      coordinator: 'http://127.0.0.1:7878',
      token: TOKEN,
      pin: PIN,
    });
  });

  test.each([
    ['nothing', ''],
    ['the token alone', TOKEN],
    ['no fragment', 'https://fl.example/join'],
    ['a shell that ate the fragment', 'https://fl.example/join#'],
    ['another page', `https://fl.example/models#${TOKEN}`],
    ['a page that only ends alike', `https://fl.example/rejoin#${TOKEN}`],
    ['the token where servers see it', `https://fl.example/join?t=1#${TOKEN}`],
    ['another scheme', `ftp://fl.example/join#${TOKEN}`],
    ['a script', `javascript:alert(1)/join#${TOKEN}`],
    ['another version of token', `https://fl.example/join#${TOKEN.replace('cpt1', 'cpt2')}`],
    ['a capital in the id', `https://fl.example/join#${TOKEN.replace('abc', 'Abc')}`],
    ['a pin cut short', `https://fl.example/join#${TOKEN.slice(0, -1)}`],
    ['a letter too many', `https://fl.example/join#${TOKEN}a`],
    ['a name and password in the address', `https://user:secret@fl.example/join#${TOKEN}`],
  ])('refused: %s', (_name, link) => {
    expect(() => parseJoinLink(link)).toThrow(/^JOIN_LINK_INVALID: /);
  });
});

describe('exposed is plain HTTP to another host', () => {
  test.each([
    ['http://fl.example', true],
    ['http://192.168.1.7:7878', true],
    ['http://127.0.0.1.evil.example', true],
    ['http://localhost.evil.example', true],
    ['http://127.evil.example', true],
    ['https://fl.example', false],
    ['http://localhost:7878', false],
    ['http://127.0.0.1:7878', false],
    ['http://127.9.9.9', false],
    ['http://[::1]:7878/base', false],
  ])('%s: %s', (coordinator, exposed) => {
    expect(isExposed(coordinator)).toBe(exposed);
  });
});

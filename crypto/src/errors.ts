/** Every error that `@carapace/crypto` throws, with what it means and what to do about it: `docs/errors.md` equals this table. */
export const CRYPTO_ERRORS = {
  BYTES_NOT_UTF8: 'Bytes that should be UTF-8 text are not.',
  BYTES_NOT_HEX: 'Text that should be lower-case hexadecimal is not.',
  BYTES_NOT_BASE64URL: 'Text that should be unpadded base64url is not.',
  DECODE_TRUNCATED: 'A message ended before its last field.',
  DECODE_TRAILING: 'A message has bytes after its last field.',
  DECODE_TOO_LONG: 'A length in a message is above the limit that its reader set.',
  DECODE_INVALID: 'A field of a message holds a value that the format does not allow.',
  ENCODE_RANGE: 'A value does not fit the field it is written to.',
  KEY_MALFORMED: 'A key has the wrong length or is not a point that may be used.',
  SIGNATURE_FORM: 'An HTTP message signature or content digest is not of the one form that is taken.',
  RANDOM_RANGE: 'A random integer was asked for in an empty or too large range.',
} as const;

export type CryptoErrorCode = keyof typeof CRYPTO_ERRORS;

export class CryptoError extends Error {
  override readonly name = 'CryptoError';
  readonly code: CryptoErrorCode;

  constructor(code: CryptoErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.code = code;
  }
}

/** Every error that `@carapace/crypto` throws, by code: what it means, what to do. `docs/errors.md` equals this table. */
export const CRYPTO_ERRORS = {
  BYTES_NOT_UTF8: ['Bytes that should be UTF-8 text are not.', 'Encode the text as UTF-8.'],
  BYTES_NOT_HEX: ['Text that should be lower-case hexadecimal is not.', 'Write two digits of 0-9, a-f for each byte.'],
  BYTES_NOT_BASE64URL: [
    'Text that should be unpadded base64url is not.',
    'Use the alphabet A-Z, a-z, 0-9, - and _, without padding and without stray bits.',
  ],
  DECODE_TRUNCATED: ['A message ended before its last field.', 'Send the whole message.'],
  DECODE_TRAILING: ['A message has bytes after its last field.', 'Send nothing after the last field.'],
  DECODE_TOO_LONG: ['A length in a message is above the limit that its reader set.', 'Stay within the limit.'],
  DECODE_INVALID: ['A field of a message holds a value that the format does not allow.', 'Write the canonical form.'],
  ENCODE_RANGE: ['A value does not fit the field it is written to.', 'Check the value before it is encoded.'],
  KEY_MALFORMED: [
    'A key has the wrong length or is not a point that may be used.',
    'Use an Ed25519 key of 32 bytes that was made at random.',
  ],
  SIGNATURE_FORM: [
    'An HTTP message signature or content digest is not of the one form that is taken.',
    'Sign as docs/protocol/client-api.md says.',
  ],
  SHARING_RANGE: [
    'A secret was shared, or recovered, with a threshold, coordinates or lengths that do not fit together.',
    'Use a threshold of at most the number of shares, and distinct coordinates from 1 to 255.',
  ],
  RLWE_INSECURE: [
    'A ring for the RLWE mask is outside the Homomorphic Encryption Security Standard.',
    'Use one of the rings that are shipped.',
  ],
  RLWE_PARAMETERS: [
    'Parameters of the RLWE mask are out of range or do not fit the ring together.',
    'Lower the number of clients or the bits of an entry, or use a larger ring.',
  ],
  RLWE_VECTOR: [
    'A vector to be masked has another length than the parameters say, or an entry that is too large.',
    'Quantise with the parameters of the session.',
  ],
  RLWE_LIMIT: [
    'More masked vectors were added than the parameters leave room for.',
    'Make the parameters for the largest cohort.',
  ],
  RLWE_UNMASK: [
    'A sum of masked vectors and a sum of keys do not belong together.',
    'Sum the keys of exactly the clients whose vectors are in the sum.',
  ],
  RLWE_BUSY: [
    'An operation of the RLWE mask was started from within another one on the same ring.',
    'Await one before the next.',
  ],
  SEAL_PARAMETERS: [
    'Parameters of homomorphic encryption are out of range, or no ring has room for such sums.',
    'Lower the number of clients or the bits of a value, or use another arrangement of keys.',
  ],
  SEAL_INSECURE: [
    'A ring for homomorphic encryption is outside the Homomorphic Encryption Security Standard.',
    'Use one of the rings that are shipped, for the security that they are made for.',
  ],
  SEAL_VECTOR: [
    'A vector to be encrypted has another length than the parameters say, or a value that is too large.',
    'Quantise with the parameters of the session.',
  ],
  SEAL_CIPHERTEXT: [
    'A ciphertext has another length than the parameters say, a residue out of range, or no mask at all.',
    'Encrypt with the parameters and the key of the session.',
  ],
  SEAL_KEY: [
    'A key, or a share of one, has another length than the parameters say, a residue out of range, or does not open its commitment.',
    'Make keys for the parameters of the session; refuse who sent this one.',
  ],
  SEAL_LIMIT: [
    'More ciphertexts were added than the parameters leave room for.',
    'Make the parameters for the largest cohort.',
  ],
  SEAL_NOISE: [
    'A sum has no noise budget left: the key, a member’s share or a ciphertext in it is wrong.',
    'Open the sum with the keys that its ciphertexts were made under.',
  ],
  NOISE_PARAMETER: [
    'A scale of noise, or a value to be rounded at random, is not a number or out of range.',
    'The message names the value and what is allowed.',
  ],
  RANDOM_RANGE: ['A random integer was asked for in an empty or too large range.', 'Ask for a bound of 1 to 2^32.'],
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

/** Arithmetic modulo a prime on BigInt: for tables and for the reference, never on secrets that matter in time. */

export function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/** Of a prime modulus (Fermat). */
export function invert(value: bigint, prime: bigint): bigint {
  return power(value, prime - 2n, prime);
}

/** Miller and Rabin with the bases 2, 3, 5 and 7, which is a proof below 3,215,031,751 (Jaeschke 1993). */
export function isPrimeBelow2To31(n: bigint): boolean {
  if (n < 11n) return n === 2n || n === 3n || n === 5n || n === 7n;
  if (n % 2n === 0n || n >= 1n << 31n) return false;
  let odd = n - 1n;
  let halvings = 0;
  for (; odd % 2n === 0n; odd /= 2n) halvings++;
  return [2n, 3n, 5n, 7n].every((base) => passes(base, odd, halvings, n));
}

function passes(base: bigint, odd: bigint, halvings: number, n: bigint): boolean {
  let value = power(base, odd, n);
  if (value === 1n || value === n - 1n) return true;
  for (let i = 1; i < halvings; i++) {
    value = (value * value) % n;
    if (value === n - 1n) return true;
  }
  return false;
}

/** The first g^((q-1)/2n) for g = 2, 3, ... whose n-th power is -1: a primitive 2n-th root of unity, for n a power of two. */
export function rootOfMinusOne(n: number, prime: bigint): bigint {
  const order = 2n * BigInt(n);
  for (let g = 2n; ; g++) {
    const root = power(g, (prime - 1n) / order, prime);
    if (power(root, BigInt(n), prime) === prime - 1n) return root;
  }
}

/** q^-1 mod 2^32 for odd q, by Newton's iteration. */
export function inverseModulo2To32(q: number): number {
  let inverse = q;
  for (let i = 0; i < 4; i++) inverse = Math.imul(inverse, 2 - Math.imul(q, inverse));
  return inverse >>> 0;
}

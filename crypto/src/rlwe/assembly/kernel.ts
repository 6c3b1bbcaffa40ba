// The arithmetic of the RLWE mask, in AssemblyScript for WebAssembly with 128-bit SIMD. `../reference.ts` is the slow twin that
// says what each of these computes; `npm run kernels` compiles this file into `../kernel-wasm.ts`.
//
// Vertical layout: a vector (v128) holds the same coefficient of four polynomials, so a transform works on four at once and no
// step moves data between lanes. Primes lie between 2^29 and 2^30, which lets residues grow to 4q in 32 bits before they are
// reduced. Nothing branches on, or is addressed by, a coefficient, but for `accept`, whose words are public.

/** a * w / 2^32 mod q, in (0, 2q), for any a: w is below q, wq = w / q mod 2^32 (Montgomery 1985). */
// @ts-ignore: decorator
@inline
function multiply(a: v128, w: v128, wq: v128, q: v128): v128 {
  const high = highWords(i64x2.extmul_low_i32x4_u(a, w), i64x2.extmul_high_i32x4_u(a, w));
  const m = i32x4.mul(a, wq);
  const excess = highWords(i64x2.extmul_low_i32x4_u(m, q), i64x2.extmul_high_i32x4_u(m, q));
  return i32x4.add(i32x4.sub(high, excess), q);
}

// @ts-ignore: decorator
@inline
function highWords(low: v128, high: v128): v128 {
  return v128.shuffle<u32>(low, high, 1, 3, 5, 7);
}

// @ts-ignore: decorator
@inline
function lowWords(low: v128, high: v128): v128 {
  return v128.shuffle<u32>(low, high, 0, 2, 4, 6);
}

/** x, less m where x is at least m: below m when x was below 2m. The smaller of the two, because x - m wraps when it is negative. */
// @ts-ignore: decorator
@inline
function reduce(x: v128, m: v128): v128 {
  return i32x4.min_u(x, i32x4.sub(x, m));
}

/** `count` powers of `root` in bit-reversed order, each as the pair (w * 2^32 mod q, that / q mod 2^32). */
export function powers(to: usize, logCount: u32, root: u64, q: u64, inverseOfQ: u32): void {
  let power: u64 = 1;
  const count: u32 = 1 << logCount;
  for (let i: u32 = 0; i < count; i++) {
    let reversed: u32 = 0;
    for (let bit: u32 = 0; bit < logCount; bit++) reversed |= ((i >> bit) & 1) << (logCount - 1 - bit);
    const w = <u32>((power << 32) % q);
    store<u32>(to + (<usize>reversed << 3), w);
    store<u32>(to + (<usize>reversed << 3), w * inverseOfQ, 4);
    power = (power * root) % q;
  }
}

/**
 * Forward negacyclic transform in place, Cooley and Tukey, natural to bit-reversed order (Longa and Naehrig 2016, algorithm 1), two
 * layers at a time. Takes residues below 4q and leaves residues below 4q.
 */
export function forward(x: usize, twiddles: usize, n: u32, prime: u32): void {
  const q = i32x4.splat(prime);
  const q2 = i32x4.splat(2 * prime);
  let stride: u32 = n >> 1;
  let blocks: u32 = 1;
  if (ctz(n) & 1) {
    forwardLayer(x, twiddles, stride, q, q2);
    stride >>= 1;
    blocks = 2;
  }
  for (; blocks < n; blocks <<= 2) {
    for (let block: u32 = 0; block < blocks; block++) {
      forwardTwoLayers(
        x + ((<usize>block * 2 * stride) << 4),
        twiddles + ((<usize>blocks + block) << 3),
        twiddles + ((<usize>2 * blocks + 2 * block) << 3),
        <usize>(stride >> 1) << 4,
        q,
        q2,
      );
    }
    stride >>= 2;
  }
}

function forwardLayer(x: usize, twiddles: usize, stride: u32, q: v128, q2: v128): void {
  const w = v128.load_splat<u32>(twiddles, 8);
  const wq = v128.load_splat<u32>(twiddles, 12);
  const span = <usize>stride << 4;
  for (let a = x; a < x + span; a += 16) {
    const u = reduce(v128.load(a), q2);
    const v = multiply(v128.load(a + span), w, wq, q);
    v128.store(a, i32x4.add(u, v));
    v128.store(a + span, i32x4.add(i32x4.sub(u, v), q2));
  }
}

/** One block of a layer and its two halves in the next: four quarters of `span` bytes. */
function forwardTwoLayers(x: usize, outer: usize, inner: usize, span: usize, q: v128, q2: v128): void {
  const w = v128.load_splat<u32>(outer);
  const wq = v128.load_splat<u32>(outer, 4);
  const w0 = v128.load_splat<u32>(inner);
  const w0q = v128.load_splat<u32>(inner, 4);
  const w1 = v128.load_splat<u32>(inner, 8);
  const w1q = v128.load_splat<u32>(inner, 12);
  for (let at = x; at < x + span; at += 16) {
    const a = reduce(v128.load(at), q2);
    const b = reduce(v128.load(at + span), q2);
    const c = multiply(v128.load(at + 2 * span), w, wq, q);
    const d = multiply(v128.load(at + 3 * span), w, wq, q);
    const ac = reduce(i32x4.add(a, c), q2);
    const ca = reduce(i32x4.add(i32x4.sub(a, c), q2), q2);
    const bd = multiply(i32x4.add(b, d), w0, w0q, q);
    const db = multiply(i32x4.add(i32x4.sub(b, d), q2), w1, w1q, q);
    v128.store(at, i32x4.add(ac, bd));
    v128.store(at + span, i32x4.add(i32x4.sub(ac, bd), q2));
    v128.store(at + 2 * span, i32x4.add(ca, db));
    v128.store(at + 3 * span, i32x4.add(i32x4.sub(ca, db), q2));
  }
}

/**
 * Inverse of `forward`, Gentleman and Sande, times the pair at `scale` (1/n). Takes residues below 2q and leaves residues below q.
 */
export function inverse(x: usize, twiddles: usize, n: u32, prime: u32, scale: usize): void {
  const q = i32x4.splat(prime);
  const q2 = i32x4.splat(2 * prime);
  let span: usize = 16;
  for (let blocks: u32 = n >> 1; blocks >= 1; blocks >>= 1) {
    for (let block: u32 = 0; block < blocks; block++) {
      const pair = twiddles + ((<usize>blocks + block) << 3);
      const w = v128.load_splat<u32>(pair);
      const wq = v128.load_splat<u32>(pair, 4);
      const from = x + <usize>block * 2 * span;
      for (let a = from; a < from + span; a += 16) {
        const u = v128.load(a);
        const v = v128.load(a + span);
        v128.store(a, reduce(i32x4.add(u, v), q2));
        v128.store(a + span, multiply(i32x4.add(i32x4.sub(u, v), q2), w, wq, q));
      }
    }
    span <<= 1;
  }
  const w = v128.load_splat<u32>(scale);
  const wq = v128.load_splat<u32>(scale, 4);
  for (let a = x; a < x + (<usize>n << 4); a += 16) v128.store(a, reduce(multiply(v128.load(a), w, wq, q), q));
}

/**
 * x_i := sum over r of lanes_(i,r) * 2^(L r) + error_i * 2^(L R), below 2q. `shifts` holds the R + 1 powers of two times 2^32 mod q. The
 * lanes and the error of one coefficient must add up to less than 2^32.
 */
export function encode(
  x: usize,
  lanes: usize,
  errors: usize,
  n: u32,
  rows: u32,
  shifts: usize,
  prime: u32,
  inverseOfQ: u32,
): void {
  const q = i32x4.splat(prime);
  const qi = i32x4.splat(inverseOfQ);
  for (let i: u32 = 0; i < n; i++) {
    const error = v128.load(errors + (<usize>i << 4));
    const top = v128.load_splat<u32>(shifts + (<usize>rows << 2));
    let low = i64x2.extmul_low_i32x4_u(error, top);
    let high = i64x2.extmul_high_i32x4_u(error, top);
    for (let r: u32 = 0; r < rows; r++) {
      const lane = v128.load(lanes);
      const shift = v128.load_splat<u32>(shifts + (<usize>r << 2));
      low = i64x2.add(low, i64x2.extmul_low_i32x4_u(lane, shift));
      high = i64x2.add(high, i64x2.extmul_high_i32x4_u(lane, shift));
      lanes += 16;
    }
    const m = i32x4.mul(lowWords(low, high), qi);
    const excess = highWords(i64x2.extmul_low_i32x4_u(m, q), i64x2.extmul_high_i32x4_u(m, q));
    v128.store(x + (<usize>i << 4), i32x4.add(i32x4.sub(highWords(low, high), excess), q));
  }
}

/** Signed 32-bit coefficients, smaller than q in size, as residues, the same in all four lanes. */
export function spread(x: usize, small: usize, n: u32, prime: u32): void {
  for (let i: u32 = 0; i < n; i++) {
    const value = load<i32>(small + (<usize>i << 2));
    store<v128>(x + (<usize>i << 4), i32x4.splat(value + (<i32>prime & (value >> 31))));
  }
}

/** The first lanes of x, as the pairs that `multiplyAdd` and `multiplySubtract` take. */
export function pairs(to: usize, x: usize, n: u32, square: u32, squareByQ: u32, prime: u32, inverseOfQ: u32): void {
  const q = i32x4.splat(prime);
  const w = i32x4.splat(square);
  const wq = i32x4.splat(squareByQ);
  for (let i: u32 = 0; i < n; i++) {
    const lifted = i32x4.extract_lane(reduce(multiply(v128.load(x + (<usize>i << 4)), w, wq, q), q), 0);
    store<u32>(to + (<usize>i << 3), lifted);
    store<u32>(to + (<usize>i << 3), lifted * inverseOfQ, 4);
  }
}

/** x := x + a * key, below q; x below 4q, a below q, both in the transformed domain. */
export function multiplyAdd(x: usize, a: usize, key: usize, n: u32, prime: u32): void {
  const q = i32x4.splat(prime);
  const q2 = i32x4.splat(2 * prime);
  for (let i: u32 = 0; i < n; i++, x += 16, a += 16, key += 8) {
    const product = multiply(v128.load(a), v128.load_splat<u32>(key), v128.load_splat<u32>(key, 4), q);
    v128.store(x, reduce(reduce(i32x4.add(product, reduce(v128.load(x), q2)), q2), q));
  }
}

/** x := x - a * key, below 2q; x and a below q. */
export function multiplySubtract(x: usize, a: usize, key: usize, n: u32, prime: u32): void {
  const q = i32x4.splat(prime);
  const q2 = i32x4.splat(2 * prime);
  for (let i: u32 = 0; i < n; i++, x += 16, a += 16, key += 8) {
    const product = multiply(v128.load(a), v128.load_splat<u32>(key), v128.load_splat<u32>(key, 4), q);
    v128.store(x, reduce(i32x4.add(i32x4.sub(v128.load(x), product), q2), q2));
  }
}

/** The next word of each of the first `width` polynomials; 0 for the others. */
// @ts-ignore: decorator
@inline
function loadRow(from: usize, width: u32): v128 {
  if (width == 4) return v128.load(from);
  if (width == 1) return v128.load_zero<u32>(from);
  const two = v128.load_zero<u64>(from);
  return width == 2 ? two : v128.load_lane<u32>(from, two, 2, 8);
}

// @ts-ignore: decorator
@inline
function storeRow(to: usize, row: v128, width: u32): void {
  if (width == 4) v128.store(to, row);
  else if (width == 1) v128.store_lane<u32>(to, row, 0);
  else {
    v128.store_lane<u64>(to, row, 0);
    if (width == 3) v128.store_lane<u32>(to, row, 2, 8);
  }
}

/**
 * 16 vectors of 30-bit residues into 15 rows, lane by lane: word k of a lane ends with the first 30 - 2k bits of residue k + 1. A row has
 * the words of the first `width` lanes.
 */
export function pack(to: usize, from: usize, count: u32, width: u32): void {
  const bytes = <usize>width << 2;
  for (let i: u32 = 0; i < count; i += 16) {
    let before = v128.load(from);
    for (let k: i32 = 0; k < 15; k++) {
      const next = v128.load(from + (<usize>(k + 1) << 4));
      storeRow(to, v128.or(i32x4.shr_u(before, 2 * k), i32x4.shl(next, 30 - 2 * k)), width);
      before = next;
      to += bytes;
    }
    from += 256;
  }
}

/** What is done with each residue, once it is read. */
const CHECK = 0;
const ADD = 1;
const SUBTRACT = 2;

/** Residue k of a block of 16: the last bits of word k - 1 below the first of word k. */
// @ts-ignore: decorator
@inline
function residueOf(before: v128, word: v128, k: i32): v128 {
  return v128.and(v128.or(i32x4.shr_u(before, 32 - 2 * k), i32x4.shl(word, 2 * k)), i32x4.splat(0x3fffffff));
}

/** Does it, and gives the residue back. */
// @ts-ignore: decorator
@inline
function take(sum: usize, residue: v128, q: v128, action: i32): v128 {
  if (action == ADD) v128.store(sum, reduce(i32x4.add(v128.load(sum), residue), q));
  if (action == SUBTRACT) {
    // A residue that was not below q left a sum that was not either: both are below 2q.
    const q2 = i32x4.add(q, q);
    const rest = i32x4.add(i32x4.sub(v128.load(sum), residue), q2);
    v128.store(sum, reduce(reduce(rest, q2), q));
  }
  return residue;
}

/** Unrolled, because a shift by a constant is twice as fast. */
// @ts-ignore: decorator
@inline
function eachResidue(sum: usize, from: usize, count: u32, prime: u32, width: u32, action: i32): bool {
  const q = i32x4.splat(prime);
  const bytes = <usize>width << 2;
  let top = i32x4.splat(0);
  for (let i: u32 = 0; i < count; i += 16) {
    const w0 = loadRow(from, width);
    top = i32x4.max_u(top, take(sum, v128.and(w0, i32x4.splat(0x3fffffff)), q, action));
    const w1 = loadRow(from + 1 * bytes, width);
    top = i32x4.max_u(top, take(sum + 16, residueOf(w0, w1, 1), q, action));
    const w2 = loadRow(from + 2 * bytes, width);
    top = i32x4.max_u(top, take(sum + 32, residueOf(w1, w2, 2), q, action));
    const w3 = loadRow(from + 3 * bytes, width);
    top = i32x4.max_u(top, take(sum + 48, residueOf(w2, w3, 3), q, action));
    const w4 = loadRow(from + 4 * bytes, width);
    top = i32x4.max_u(top, take(sum + 64, residueOf(w3, w4, 4), q, action));
    const w5 = loadRow(from + 5 * bytes, width);
    top = i32x4.max_u(top, take(sum + 80, residueOf(w4, w5, 5), q, action));
    const w6 = loadRow(from + 6 * bytes, width);
    top = i32x4.max_u(top, take(sum + 96, residueOf(w5, w6, 6), q, action));
    const w7 = loadRow(from + 7 * bytes, width);
    top = i32x4.max_u(top, take(sum + 112, residueOf(w6, w7, 7), q, action));
    const w8 = loadRow(from + 8 * bytes, width);
    top = i32x4.max_u(top, take(sum + 128, residueOf(w7, w8, 8), q, action));
    const w9 = loadRow(from + 9 * bytes, width);
    top = i32x4.max_u(top, take(sum + 144, residueOf(w8, w9, 9), q, action));
    const w10 = loadRow(from + 10 * bytes, width);
    top = i32x4.max_u(top, take(sum + 160, residueOf(w9, w10, 10), q, action));
    const w11 = loadRow(from + 11 * bytes, width);
    top = i32x4.max_u(top, take(sum + 176, residueOf(w10, w11, 11), q, action));
    const w12 = loadRow(from + 12 * bytes, width);
    top = i32x4.max_u(top, take(sum + 192, residueOf(w11, w12, 12), q, action));
    const w13 = loadRow(from + 13 * bytes, width);
    top = i32x4.max_u(top, take(sum + 208, residueOf(w12, w13, 13), q, action));
    const w14 = loadRow(from + 14 * bytes, width);
    top = i32x4.max_u(top, take(sum + 224, residueOf(w13, w14, 14), q, action));
    top = i32x4.max_u(top, take(sum + 240, i32x4.shr_u(w14, 2), q, action));
    from += 15 * bytes;
    sum += 256;
  }
  return !v128.any_true(i32x4.ge_u(top, q));
}

/** Whether all packed residues are below q. */
export function check(from: usize, count: u32, prime: u32, width: u32): bool {
  return eachResidue(0, from, count, prime, width, CHECK);
}

/** sum := sum + the packed residues mod q, sum below q. Whether all of them are below q. */
export function accumulate(sum: usize, from: usize, count: u32, prime: u32, width: u32): bool {
  return width == 4
    ? eachResidue(sum, from, count, prime, 4, ADD)
    : eachResidue(sum, from, count, prime, width, ADD);
}

/** The inverse of `accumulate`, for residues of any size. */
export function retract(sum: usize, from: usize, count: u32, prime: u32, width: u32): void {
  eachResidue(sum, from, count, prime, width, SUBTRACT);
}

/**
 * Uniform residues by rejection: of the words at `from`, in order, the low 30 bits that are below q, until `wanted` are there. How many
 * were written.
 */
export function accept(to: usize, wanted: u32, from: usize, words: u32, prime: u32): u32 {
  const mask = i32x4.splat(0x3fffffff);
  const q = i32x4.splat(prime);
  let taken: u32 = 0;
  let read: u32 = 0;
  while (taken < wanted && read < words) {
    if (taken + 4 <= wanted && read + 4 <= words) {
      const four = v128.and(v128.load(from + (<usize>read << 2)), mask);
      if (i32x4.all_true(i32x4.lt_u(four, q))) {
        v128.store(to + (<usize>taken << 2), four);
        taken += 4;
        read += 4;
        continue;
      }
    }
    const word = load<u32>(from + (<usize>read << 2)) & 0x3fffffff;
    read++;
    if (word < prime) {
      store<u32>(to + (<usize>taken << 2), word);
      taken++;
    }
  }
  return taken;
}

/** Whether all values are at most `max`. */
export function within(values: usize, count: u32, max: u32): bool {
  const limit = i32x4.splat(max);
  let wrong = i32x4.splat(0);
  for (let i: u32 = 0; i < count; i++) wrong = v128.or(wrong, i32x4.gt_u(v128.load(values + (<usize>i << 4)), limit));
  return !v128.any_true(wrong);
}

/**
 * Discrete Gaussian samples plus `offset`, as 32-bit words, from 64 random bits each: the size is the number of thresholds that the low
 * 63 bits reach, bit 63 is the sign. Every threshold is compared with every sample. `count` is a multiple of 8.
 */
export function gaussian(to: usize, random: usize, count: u32, thresholds: usize, entries: u32, offset: u32): void {
  const shift = i32x4.splat(offset);
  for (let i: u32 = 0; i < count; i += 8, random += 64, to += 32) {
    const positive = i64x2.splat(0x7fffffffffffffff);
    const a = v128.and(v128.load(random), positive);
    const b = v128.and(v128.load(random, 16), positive);
    const c = v128.and(v128.load(random, 32), positive);
    const d = v128.and(v128.load(random, 48), positive);
    let sizeA = i64x2.splat(0);
    let sizeB = i64x2.splat(0);
    let sizeC = i64x2.splat(0);
    let sizeD = i64x2.splat(0);
    for (let k: u32 = 0; k < entries; k++) {
      const threshold = v128.load_splat<u64>(thresholds + (<usize>k << 3));
      sizeA = i64x2.sub(sizeA, i64x2.ge_s(a, threshold));
      sizeB = i64x2.sub(sizeB, i64x2.ge_s(b, threshold));
      sizeC = i64x2.sub(sizeC, i64x2.ge_s(c, threshold));
      sizeD = i64x2.sub(sizeD, i64x2.ge_s(d, threshold));
    }
    const firstSigns = i32x4.shr_s(highWords(v128.load(random), v128.load(random, 16)), 31);
    const lastSigns = i32x4.shr_s(highWords(v128.load(random, 32), v128.load(random, 48)), 31);
    const first = i32x4.sub(v128.xor(lowWords(sizeA, sizeB), firstSigns), firstSigns);
    const last = i32x4.sub(v128.xor(lowWords(sizeC, sizeD), lastSigns), lastSigns);
    v128.store(to, i32x4.add(first, shift));
    v128.store(to, i32x4.add(last, shift), 16);
  }
}

/**
 * Residues modulo `primes` primes, each a block of n vectors, back to the integer they stand for (mixed radix: Garner 1959) and apart
 * into R limbs of L bits. Whether what is above the last limb is at most `maxTop` everywhere.
 * `inverses`: for j and each l < j the pair of 1/q_l mod q_j. `radices`: for each j the R + 1 limbs of q_0 ... q_(j-1). `digits`: room for one
 * vector per prime.
 */
export function decode(
  x: usize,
  n: u32,
  primes: u32,
  moduli: usize,
  inverses: usize,
  radices: usize,
  digits: usize,
  rows: u32,
  laneBits: u32,
  maxTop: u32,
  lanes: usize,
): bool {
  const mask = i64x2.splat((1 << <u64>laneBits) - 1);
  const limit = i64x2.splat(maxTop);
  let wrong = i64x2.splat(0);
  for (let i: u32 = 0; i < n; i++) {
    mixedRadix(x + (<usize>i << 4), n, primes, moduli, inverses, digits);
    let low = i64x2.splat(0);
    let high = i64x2.splat(0);
    for (let r: u32 = 0; r <= rows; r++) {
      for (let j: u32 = 0; j < primes; j++) {
        const radix = v128.load_splat<u32>(radices + (<usize>(j * (rows + 1) + r) << 2));
        const digit = v128.load(digits + (<usize>j << 4));
        low = i64x2.add(low, i64x2.extmul_low_i32x4_u(digit, radix));
        high = i64x2.add(high, i64x2.extmul_high_i32x4_u(digit, radix));
      }
      if (r == rows) break;
      v128.store(lanes, lowWords(v128.and(low, mask), v128.and(high, mask)));
      lanes += 16;
      low = i64x2.shr_u(low, laneBits);
      high = i64x2.shr_u(high, laneBits);
    }
    wrong = v128.or(wrong, v128.or(i64x2.gt_s(low, limit), i64x2.gt_s(high, limit)));
  }
  return !v128.any_true(wrong);
}

// @ts-ignore: decorator
@inline
function mixedRadix(x: usize, n: u32, primes: u32, moduli: usize, inverses: usize, digits: usize): void {
  for (let j: u32 = 0; j < primes; j++) {
    const q = v128.load_splat<u32>(moduli + (<usize>j << 2));
    const q2 = i32x4.add(q, q);
    let digit = v128.load(x + ((<usize>j * n) << 4));
    for (let l: u32 = 0; l < j; l++) {
      const w = v128.load_splat<u32>(inverses);
      const wq = v128.load_splat<u32>(inverses, 4);
      const lower = v128.load(digits + (<usize>l << 4));
      digit = reduce(multiply(i32x4.add(i32x4.sub(digit, lower), q2), w, wq, q), q);
      inverses += 8;
    }
    v128.store(digits + (<usize>j << 4), digit);
  }
}

// The arithmetic of the RLWE mask, in AssemblyScript for WebAssembly with 128-bit SIMD. `../reference.ts` is the slow twin that
// says what each of these computes; `npm run kernels` compiles this file into `../kernel-wasm.ts`.
//
// Vertical layout: a vector (v128) holds the same coefficient of four polynomials, so a transform works on four at once and no
// step moves data between lanes. Primes lie between 2^29 and 2^30, which lets residues grow to 4q in 32 bits before they are
// reduced. Nothing branches on, or is addressed by, a coefficient, but for `accept`, whose words are public.

/** a * w / 2^32 mod q, in (0, 2q), for any a: w is below q, wq = w / q mod 2^32 (Montgomery 1985). */
// @ts-ignore: decorator
@inline
function multiplyLifted(a: v128, w: v128, wq: v128, q: v128): v128 {
  const m = i32x4.mul(a, wq);
  return i32x4.add(i32x4.sub(highProduct(a, w), highProduct(m, q)), q);
}

/** a * w mod q, in [0, 2q), for any a: w is below q, ratio = floor(w 2^32 / q) (Shoup; Harvey 2014, section 2). */
// @ts-ignore: decorator
@inline
function multiply(a: v128, w: v128, ratio: v128, q: v128): v128 {
  return i32x4.sub(i32x4.mul(a, w), i32x4.mul(highProduct(a, ratio), q));
}

// @ts-ignore: decorator
@inline
function highProduct(a: v128, b: v128): v128 {
  return highWords(i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(a, b));
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

/** `count` powers of `root` in bit-reversed order, each as the pair (w, floor(w 2^32 / q)). */
export function powers(to: usize, logCount: u32, root: u64, q: u64): void {
  let power: u64 = 1;
  const count: u32 = 1 << logCount;
  for (let i: u32 = 0; i < count; i++) {
    let reversed: u32 = 0;
    for (let bit: u32 = 0; bit < logCount; bit++) reversed |= ((i >> bit) & 1) << (logCount - 1 - bit);
    store<u32>(to + (<usize>reversed << 3), <u32>power);
    store<u32>(to + (<usize>reversed << 3), <u32>((power << 32) / q), 4);
    power = (power * root) % q;
  }
}

/**
 * The table of `transformKey` from the pairs of `powers`: the first four as they are, then for each block of a quarter's layers the twiddles of
 * all four quarters in one vector, and their ratios in the next.
 */
export function quarterTwiddles(to: usize, pairs: usize, n: u32): void {
  for (let i: usize = 0; i < 32; i += 8) store<u64>(to + i, load<u64>(pairs + i));
  for (let blocks: u32 = 1; blocks < n >> 2; blocks <<= 1) {
    for (let block: u32 = 0; block < blocks; block++) {
      const at = to + 32 + (<usize>(blocks + block) << 5);
      for (let quarter: u32 = 0; quarter < 4; quarter++) {
        const pair = pairs + (<usize>((4 + quarter) * blocks + block) << 3);
        store<u32>(at + (<usize>quarter << 2), load<u32>(pair));
        store<u32>(at + 16 + (<usize>quarter << 2), load<u32>(pair, 4));
      }
    }
  }
}

/**
 * The forward negacyclic transform of one polynomial, Cooley and Tukey, natural to bit-reversed order (Longa and Naehrig 2016, algorithm 1),
 * two layers at a time. After the first two its quarters have nothing to do with each other: from there on each is a lane, and value
 * i of quarter c is lane c of vector i. Takes signed coefficients smaller than q in size and leaves residues below 4q; `n` is 16 or more.
 */
export function transformKey(x: usize, coefficients: usize, table: usize, n: u32, prime: u32): void {
  const q = i32x4.splat(prime);
  const q2 = i32x4.splat(2 * prime);
  const quarter = n >> 2;
  splitQuarters(x, coefficients, table, <usize>quarter << 2, q, q2);
  const twiddles = table + 32;
  let stride = quarter >> 1;
  let blocks: u32 = 1;
  if (ctz(quarter) & 1) {
    forwardLayer(x, twiddles + 32, <usize>stride << 4, q, q2);
    stride >>= 1;
    blocks = 2;
  }
  for (; blocks < quarter; blocks <<= 2) {
    for (let block: u32 = 0; block < blocks; block++) {
      forwardTwoLayers(
        x + ((<usize>block * 2 * stride) << 4),
        twiddles + (<usize>(blocks + block) << 5),
        twiddles + (<usize>(2 * blocks + 2 * block) << 5),
        <usize>(stride >> 1) << 4,
        q,
        q2,
      );
    }
    stride >>= 2;
  }
}

/** The first two layers, four coefficients of each quarter at a time; `span` is the length of a quarter in bytes. */
function splitQuarters(x: usize, coefficients: usize, table: usize, span: usize, q: v128, q2: v128): void {
  const w = v128.load_splat<u32>(table, 8);
  const wr = v128.load_splat<u32>(table, 12);
  const w0 = v128.load_splat<u32>(table, 16);
  const w0r = v128.load_splat<u32>(table, 20);
  const w1 = v128.load_splat<u32>(table, 24);
  const w1r = v128.load_splat<u32>(table, 28);
  for (let at = coefficients; at < coefficients + span; at += 16, x += 64) {
    const a = residues(v128.load(at), q);
    const b = residues(v128.load(at + span), q);
    const c = multiply(residues(v128.load(at + 2 * span), q), w, wr, q);
    const d = multiply(residues(v128.load(at + 3 * span), q), w, wr, q);
    const ac = reduce(i32x4.add(a, c), q2);
    const ca = reduce(i32x4.add(i32x4.sub(a, c), q2), q2);
    const bd = multiply(i32x4.add(b, d), w0, w0r, q);
    const db = multiply(i32x4.add(i32x4.sub(b, d), q2), w1, w1r, q);
    const first = i32x4.add(ac, bd);
    const second = i32x4.add(i32x4.sub(ac, bd), q2);
    const third = i32x4.add(ca, db);
    const fourth = i32x4.add(i32x4.sub(ca, db), q2);
    const ab = v128.shuffle<u32>(first, second, 0, 4, 1, 5);
    const cd = v128.shuffle<u32>(third, fourth, 0, 4, 1, 5);
    const abNext = v128.shuffle<u32>(first, second, 2, 6, 3, 7);
    const cdNext = v128.shuffle<u32>(third, fourth, 2, 6, 3, 7);
    v128.store(x, v128.shuffle<u64>(ab, cd, 0, 2));
    v128.store(x, v128.shuffle<u64>(ab, cd, 1, 3), 16);
    v128.store(x, v128.shuffle<u64>(abNext, cdNext, 0, 2), 32);
    v128.store(x, v128.shuffle<u64>(abNext, cdNext, 1, 3), 48);
  }
}

/** Of signed numbers smaller than q in size. */
// @ts-ignore: decorator
@inline
function residues(signed: v128, q: v128): v128 {
  return i32x4.add(signed, v128.and(i32x4.shr_s(signed, 31), q));
}

function forwardLayer(x: usize, twiddle: usize, span: usize, q: v128, q2: v128): void {
  const w = v128.load(twiddle);
  const ratio = v128.load(twiddle, 16);
  for (let at = x; at < x + span; at += 16) {
    const u = reduce(v128.load(at), q2);
    const v = multiply(v128.load(at + span), w, ratio, q);
    v128.store(at, i32x4.add(u, v));
    v128.store(at + span, i32x4.add(i32x4.sub(u, v), q2));
  }
}

/** One block of a layer and its two halves in the next: four quarters of `span` bytes. */
function forwardTwoLayers(x: usize, outer: usize, inner: usize, span: usize, q: v128, q2: v128): void {
  const w = v128.load(outer);
  const wr = v128.load(outer, 16);
  const w0 = v128.load(inner);
  const w0r = v128.load(inner, 16);
  const w1 = v128.load(inner, 32);
  const w1r = v128.load(inner, 48);
  for (let at = x; at < x + span; at += 16) {
    const a = reduce(v128.load(at), q2);
    const b = reduce(v128.load(at + span), q2);
    const c = multiply(v128.load(at + 2 * span), w, wr, q);
    const d = multiply(v128.load(at + 3 * span), w, wr, q);
    const ac = reduce(i32x4.add(a, c), q2);
    const ca = reduce(i32x4.add(i32x4.sub(a, c), q2), q2);
    const bd = multiply(i32x4.add(b, d), w0, w0r, q);
    const db = multiply(i32x4.add(i32x4.sub(b, d), q2), w1, w1r, q);
    v128.store(at, i32x4.add(ac, bd));
    v128.store(at + span, i32x4.add(i32x4.sub(ac, bd), q2));
    v128.store(at + 2 * span, i32x4.add(ca, db));
    v128.store(at + 3 * span, i32x4.add(i32x4.sub(ca, db), q2));
  }
}

/** Coefficients that go through their first layers at once: those of four polynomials fill half of a first-level cache. */
const NEAR: u32 = 1024;

/**
 * x := n times the polynomials whose values are x * key, Gentleman and Sande, two layers at a time; the first `rows` coefficients, the others are
 * undefined. Takes residues below q and leaves residues below 2q. `n` is 4 or more.
 */
export function multiplyInverse(x: usize, key: usize, twiddles: usize, n: u32, rows: u32, prime: u32): void {
  const q = i32x4.splat(prime);
  const q2 = i32x4.splat(2 * prime);
  const near = min(n, NEAR);
  for (let from: u32 = 0; from < n; from += near) {
    for (let quad = from >> 2; quad < (from + near) >> 2; quad++) {
      multiplyFourByKey(x + (<usize>quad << 6), key + (<usize>quad << 5), q);
      inverseTwoLayers(x, twiddles, n >> 1, quad, 1, q, q2);
    }
    for (let span: u32 = 4; (span << 2) <= near; span <<= 2) inverseBlocks(x, twiddles, n, from, near, span, rows, q, q2);
  }
  let span: u32 = 1;
  while ((span << 2) <= near) span <<= 2;
  for (; (span << 2) <= n; span <<= 2) inverseBlocks(x, twiddles, n, 0, n, span, rows, q, q2);
  if (span < n) inverseLayer(x, twiddles + 8, <usize>span << 4, min(rows, span), q, q2);
}

// @ts-ignore: decorator
@inline
function multiplyFourByKey(x: usize, key: usize, q: v128): void {
  for (let at: usize = 0; at < 64; at += 16, key += 8) {
    const product = multiplyLifted(v128.load(x + at), v128.load_splat<u32>(key), v128.load_splat<u32>(key, 4), q);
    v128.store(x + at, product);
  }
}

/** Two layers of the blocks of `near` coefficients from `from` on. */
// @ts-ignore: decorator
@inline
function inverseBlocks(
  x: usize,
  twiddles: usize,
  n: u32,
  from: u32,
  near: u32,
  span: u32,
  rows: u32,
  q: v128,
  q2: v128,
): void {
  const blocks = n / (2 * span);
  for (let quad = from / (4 * span); quad < (from + near) / (4 * span); quad++) {
    if (rows <= span) sumQuarters(x + ((<usize>quad * 4 * span) << 4), <usize>span << 4, rows, q2);
    else inverseTwoLayers(x, twiddles, blocks, quad, span, q, q2);
  }
}

function inverseLayer(x: usize, pair: usize, span: usize, rows: u32, q: v128, q2: v128): void {
  const w = v128.load_splat<u32>(pair);
  const ratio = v128.load_splat<u32>(pair, 4);
  for (let at = x; at < x + (<usize>rows << 4); at += 16) {
    const u = v128.load(at);
    const v = v128.load(at + span);
    v128.store(at, reduce(i32x4.add(u, v), q2));
    v128.store(at + span, multiply(i32x4.add(i32x4.sub(u, v), q2), w, ratio, q));
  }
}

/** Of two layers the first quarter, when no more of it is asked for. */
function sumQuarters(x: usize, span: usize, rows: u32, q2: v128): void {
  for (let at = x; at < x + (<usize>rows << 4); at += 16) {
    const ab = reduce(i32x4.add(v128.load(at), v128.load(at + span)), q2);
    const cd = reduce(i32x4.add(v128.load(at + 2 * span), v128.load(at + 3 * span)), q2);
    v128.store(at, reduce(i32x4.add(ab, cd), q2));
  }
}

/** Two of `blocks` blocks of a layer and the one they make in the next: four quarters of `span` coefficients. */
// @ts-ignore: decorator
@inline
function inverseTwoLayers(
  x: usize,
  twiddles: usize,
  blocks: u32,
  quad: u32,
  span: u32,
  q: v128,
  q2: v128,
): void {
  const inner = twiddles + ((<usize>blocks + 2 * quad) << 3);
  const outer = twiddles + ((<usize>(blocks >> 1) + quad) << 3);
  const w0 = v128.load_splat<u32>(inner);
  const w0r = v128.load_splat<u32>(inner, 4);
  const w1 = v128.load_splat<u32>(inner, 8);
  const w1r = v128.load_splat<u32>(inner, 12);
  const w = v128.load_splat<u32>(outer);
  const wr = v128.load_splat<u32>(outer, 4);
  const bytes = <usize>span << 4;
  const from = x + ((<usize>quad * 4 * span) << 4);
  for (let at = from; at < from + bytes; at += 16) {
    const a = v128.load(at);
    const b = v128.load(at + bytes);
    const c = v128.load(at + 2 * bytes);
    const d = v128.load(at + 3 * bytes);
    const ab = reduce(i32x4.add(a, b), q2);
    const ba = multiply(i32x4.add(i32x4.sub(a, b), q2), w0, w0r, q);
    const cd = reduce(i32x4.add(c, d), q2);
    const dc = multiply(i32x4.add(i32x4.sub(c, d), q2), w1, w1r, q);
    v128.store(at, reduce(i32x4.add(ab, cd), q2));
    v128.store(at + bytes, reduce(i32x4.add(ba, dc), q2));
    v128.store(at + 2 * bytes, multiply(i32x4.add(i32x4.sub(ab, cd), q2), w, wr, q));
    v128.store(at + 3 * bytes, multiply(i32x4.add(i32x4.sub(ba, dc), q2), w, wr, q));
  }
}

/**
 * What `transformKey` left, times w / 2^32, in the order of the values: as the pairs (key 2^32 mod q, that / q mod 2^32) that
 * `multiplyInverse` takes.
 */
export function pairs(to: usize, x: usize, n: u32, w: u32, wByQ: u32, prime: u32, inverseOfQ: u32): void {
  const q = i32x4.splat(prime);
  const qi = i32x4.splat(inverseOfQ);
  const factor = i32x4.splat(w);
  const factorByQ = i32x4.splat(wByQ);
  const quarter = <usize>n << 1;
  for (let i: u32 = 0; i < n >> 2; i++, x += 16, to += 8) {
    const lifted = reduce(multiplyLifted(v128.load(x), factor, factorByQ, q), q);
    const byQ = i32x4.mul(lifted, qi);
    const low = v128.shuffle<u32>(lifted, byQ, 0, 4, 1, 5);
    const high = v128.shuffle<u32>(lifted, byQ, 2, 6, 3, 7);
    v128.store_lane<u64>(to, low, 0);
    v128.store_lane<u64>(to + quarter, low, 1);
    v128.store_lane<u64>(to + 2 * quarter, high, 0);
    v128.store_lane<u64>(to + 3 * quarter, high, 1);
  }
}

/** Bytes of 16 vectors as they are, and packed. */
const BLOCK: usize = 256;
const PACKED: usize = 240;

/** What one masking holds of 16 coefficients at a time. */
const ROWS: u32 = 16;

/**
 * The masked vector of one group, packed: x + lanes + 2^(L R) error, modulo every prime, for `blocks` blocks of 16 coefficients; block by block, prime
 * by prime. x: for each prime n vectors, below 2q. `moduli`: for each prime q and 1 / q mod 2^32. `shifts`: for each prime the powers of 2^30 from the
 * first on, times 2^32 mod q, `primes` less one. `digits`: room for 16 vectors for each prime. An entry and an error are below 2^30, and all of a
 * coefficient is below 2^(30 primes).
 */
export function encrypt(
  to: usize,
  x: usize,
  lanes: usize,
  errors: usize,
  n: u32,
  blocks: u32,
  rows: u32,
  laneBits: u32,
  primes: u32,
  moduli: usize,
  shifts: usize,
  digits: usize,
): void {
  for (let block: u32 = 0; block < blocks; block++) {
    for (let i: u32 = 0; i < ROWS; i += 4) {
      splitDigits(digits + (<usize>i << 4), lanes, errors, rows, laneBits, primes);
      lanes += <usize>rows << 6;
      errors += 64;
    }
    for (let j: u32 = 0; j < primes; j++) {
      const at = x + ((<usize>j * n + <usize>block * ROWS) << 4);
      const prime = load<u32>(moduli + (<usize>j << 3));
      const inverseOfQ = load<u32>(moduli + (<usize>j << 3), 4);
      const powers = shifts + ((<usize>j * (primes - 1)) << 2);
      if (primes == 7) encryptBlock(to, at, digits, 7, prime, inverseOfQ, powers);
      else encryptBlock(to, at, digits, primes, prime, inverseOfQ, powers);
      to += PACKED;
    }
  }
}

/**
 * Four coefficients of four polynomials, lanes and the error above them, as digits of 30 bits: digit t of coefficient i is vector 16 t + i. Which bit goes
 * where depends on the widths alone.
 */
// @ts-ignore: decorator
@inline
function splitDigits(to: usize, lanes: usize, errors: usize, rows: u32, laneBits: u32, primes: u32): void {
  const mask = i32x4.splat(0x3fffffff);
  const stride = <usize>rows << 4;
  const last = to + (<usize>primes << 8);
  let d0 = i32x4.splat(0);
  let d1 = i32x4.splat(0);
  let d2 = i32x4.splat(0);
  let d3 = i32x4.splat(0);
  let bit: u32 = 0;
  for (let r: u32 = 0; r <= rows; r++) {
    const from = r < rows ? lanes + (<usize>r << 4) : errors;
    const step = r < rows ? stride : 16;
    const v0 = v128.load(from);
    const v1 = v128.load(from + step);
    const v2 = v128.load(from + 2 * step);
    const v3 = v128.load(from + 3 * step);
    d0 = v128.or(d0, i32x4.shl(v0, bit));
    d1 = v128.or(d1, i32x4.shl(v1, bit));
    d2 = v128.or(d2, i32x4.shl(v2, bit));
    d3 = v128.or(d3, i32x4.shl(v3, bit));
    const taken: u32 = 30 - bit;
    bit += laneBits;
    if (bit < 30 && r < rows) continue;
    v128.store(to, v128.and(d0, mask));
    v128.store(to, v128.and(d1, mask), 16);
    v128.store(to, v128.and(d2, mask), 32);
    v128.store(to, v128.and(d3, mask), 48);
    to += BLOCK;
    d0 = i32x4.shr_u(v0, taken);
    d1 = i32x4.shr_u(v1, taken);
    d2 = i32x4.shr_u(v2, taken);
    d3 = i32x4.shr_u(v3, taken);
    bit -= 30;
  }
  for (; to < last; to += BLOCK) {
    v128.store(to, d0);
    v128.store(to, d1, 16);
    v128.store(to, d2, 32);
    v128.store(to, d3, 48);
    d0 = d1 = d2 = d3 = i32x4.splat(0);
  }
}

// @ts-ignore: decorator
@inline
function encryptBlock(to: usize, x: usize, digits: usize, primes: u32, prime: u32, inverseOfQ: u32, shifts: usize): void {
  const q = i32x4.splat(prime);
  const qi = i32x4.splat(inverseOfQ);
  let before = encryptOne(x, digits, primes, q, qi, shifts);
  for (let k: i32 = 0; k < 15; k++) {
    x += 16;
    digits += 16;
    const next = encryptOne(x, digits, primes, q, qi, shifts);
    v128.store(to, v128.or(i32x4.shr_u(before, 2 * k), i32x4.shl(next, 30 - 2 * k)));
    before = next;
    to += 16;
  }
}

/** x + the sum of digit_t 2^(30 t), below q. The usual numbers of primes unrolled. */
// @ts-ignore: decorator
@inline
function encryptOne(x: usize, digits: usize, primes: u32, q: v128, qi: v128, shifts: usize): v128 {
  let low = i64x2.splat(0);
  let high = i64x2.splat(0);
  let t: u32 = 1;
  if (primes >= 3) {
    const one = v128.load(digits, 256);
    const two = v128.load(digits, 512);
    const oneBy = v128.load_splat<u32>(shifts);
    const twoBy = v128.load_splat<u32>(shifts, 4);
    low = i64x2.add(i64x2.extmul_low_i32x4_u(one, oneBy), i64x2.extmul_low_i32x4_u(two, twoBy));
    high = i64x2.add(i64x2.extmul_high_i32x4_u(one, oneBy), i64x2.extmul_high_i32x4_u(two, twoBy));
    t = 3;
  }
  if (primes >= 6) {
    const three = v128.load(digits, 768);
    const four = v128.load(digits, 1024);
    const five = v128.load(digits, 1280);
    const threeBy = v128.load_splat<u32>(shifts, 8);
    const fourBy = v128.load_splat<u32>(shifts, 12);
    const fiveBy = v128.load_splat<u32>(shifts, 16);
    low = i64x2.add(low, i64x2.extmul_low_i32x4_u(three, threeBy));
    high = i64x2.add(high, i64x2.extmul_high_i32x4_u(three, threeBy));
    low = i64x2.add(low, i64x2.extmul_low_i32x4_u(four, fourBy));
    high = i64x2.add(high, i64x2.extmul_high_i32x4_u(four, fourBy));
    low = i64x2.add(low, i64x2.extmul_low_i32x4_u(five, fiveBy));
    high = i64x2.add(high, i64x2.extmul_high_i32x4_u(five, fiveBy));
    t = 6;
  }
  for (; t < primes; t++) {
    const digit = v128.load(digits + (<usize>t << 8));
    const shift = v128.load_splat<u32>(shifts + (<usize>(t - 1) << 2));
    low = i64x2.add(low, i64x2.extmul_low_i32x4_u(digit, shift));
    high = i64x2.add(high, i64x2.extmul_high_i32x4_u(digit, shift));
  }
  const q2 = i32x4.add(q, q);
  const m = i32x4.mul(lowWords(low, high), qi);
  const upper = i32x4.add(i32x4.sub(highWords(low, high), highProduct(m, q)), q);
  // Seven products leave less than 2.75 q above the word, and a digit is hardly more than q.
  const sum = reduce(i32x4.add(upper, v128.load(digits)), q2);
  return reduce(reduce(i32x4.add(sum, v128.load(x)), q2), q);
}

/** 16 vectors of 30-bit residues into 15, lane by lane: word k of a lane ends with the first 30 - 2k bits of residue k + 1. */
export function pack(to: usize, from: usize, blocks: u32): void {
  for (let i: u32 = 0; i < blocks; i++) {
    let before = v128.load(from);
    for (let k: i32 = 0; k < 15; k++) {
      const next = v128.load(from + (<usize>(k + 1) << 4));
      v128.store(to, v128.or(i32x4.shr_u(before, 2 * k), i32x4.shl(next, 30 - 2 * k)));
      before = next;
      to += 16;
    }
    from += BLOCK;
  }
}

/** x := sum - x mod q, for x below 2q; the residues of a block of the sum lie `stride` bytes from those of the next. */
export function subtractFrom(x: usize, sum: usize, blocks: u32, stride: usize, prime: u32): void {
  const q = i32x4.splat(prime);
  const q2 = i32x4.splat(2 * prime);
  for (let i: u32 = 0; i < blocks; i++, sum += stride) {
    for (let at: usize = 0; at < BLOCK; at += 16, x += 16) {
      const rest = i32x4.add(i32x4.sub(v128.load(sum + at), v128.load(x)), q2);
      v128.store(x, reduce(reduce(rest, q2), q));
    }
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

/** The residues of one block; the larger of `top` and all of them. Unrolled, because a shift by a constant is twice as fast. */
// @ts-ignore: decorator
@inline
function eachResidue(sum: usize, from: usize, q: v128, top: v128, action: i32): v128 {
  const w0 = v128.load(from);
  top = i32x4.max_u(top, take(sum, v128.and(w0, i32x4.splat(0x3fffffff)), q, action));
  const w1 = v128.load(from, 16);
  top = i32x4.max_u(top, take(sum + 16, residueOf(w0, w1, 1), q, action));
  const w2 = v128.load(from, 32);
  top = i32x4.max_u(top, take(sum + 32, residueOf(w1, w2, 2), q, action));
  const w3 = v128.load(from, 48);
  top = i32x4.max_u(top, take(sum + 48, residueOf(w2, w3, 3), q, action));
  const w4 = v128.load(from, 64);
  top = i32x4.max_u(top, take(sum + 64, residueOf(w3, w4, 4), q, action));
  const w5 = v128.load(from, 80);
  top = i32x4.max_u(top, take(sum + 80, residueOf(w4, w5, 5), q, action));
  const w6 = v128.load(from, 96);
  top = i32x4.max_u(top, take(sum + 96, residueOf(w5, w6, 6), q, action));
  const w7 = v128.load(from, 112);
  top = i32x4.max_u(top, take(sum + 112, residueOf(w6, w7, 7), q, action));
  const w8 = v128.load(from, 128);
  top = i32x4.max_u(top, take(sum + 128, residueOf(w7, w8, 8), q, action));
  const w9 = v128.load(from, 144);
  top = i32x4.max_u(top, take(sum + 144, residueOf(w8, w9, 9), q, action));
  const w10 = v128.load(from, 160);
  top = i32x4.max_u(top, take(sum + 160, residueOf(w9, w10, 10), q, action));
  const w11 = v128.load(from, 176);
  top = i32x4.max_u(top, take(sum + 176, residueOf(w10, w11, 11), q, action));
  const w12 = v128.load(from, 192);
  top = i32x4.max_u(top, take(sum + 192, residueOf(w11, w12, 12), q, action));
  const w13 = v128.load(from, 208);
  top = i32x4.max_u(top, take(sum + 208, residueOf(w12, w13, 13), q, action));
  const w14 = v128.load(from, 224);
  top = i32x4.max_u(top, take(sum + 224, residueOf(w13, w14, 14), q, action));
  return i32x4.max_u(top, take(sum + 240, i32x4.shr_u(w14, 2), q, action));
}

/** Block by block, prime by prime. Whether all residues are below their prime. */
// @ts-ignore: decorator
@inline
function eachBlock(sum: usize, from: usize, blocks: u32, moduli: usize, primes: u32, action: i32): bool {
  let wrong = i32x4.splat(0);
  for (let i: u32 = 0; i < blocks; i++) {
    for (let j: u32 = 0; j < primes; j++) {
      const q = v128.load_splat<u32>(moduli + (<usize>j << 3));
      wrong = v128.or(wrong, i32x4.ge_u(eachResidue(sum, from, q, i32x4.splat(0), action), q));
      from += PACKED;
      sum += BLOCK;
    }
  }
  return !v128.any_true(wrong);
}

/** Whether all packed residues are below their prime. */
export function check(from: usize, blocks: u32, moduli: usize, primes: u32): bool {
  return eachBlock(0, from, blocks, moduli, primes, CHECK);
}

/** sum := sum + the packed residues mod q, sum below q. Whether all of them are below their prime. */
export function accumulate(sum: usize, from: usize, blocks: u32, moduli: usize, primes: u32): bool {
  return eachBlock(sum, from, blocks, moduli, primes, ADD);
}

/** The inverse of `accumulate`, for residues of any size. */
export function retract(sum: usize, from: usize, blocks: u32, moduli: usize, primes: u32): void {
  eachBlock(sum, from, blocks, moduli, primes, SUBTRACT);
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
    if (taken + 16 <= wanted && read + 16 <= words) {
      const at = from + (<usize>read << 2);
      const a = v128.and(v128.load(at), mask);
      const b = v128.and(v128.load(at, 16), mask);
      const c = v128.and(v128.load(at, 32), mask);
      const d = v128.and(v128.load(at, 48), mask);
      if (i32x4.all_true(i32x4.lt_u(i32x4.max_u(i32x4.max_u(a, b), i32x4.max_u(c, d)), q))) {
        const into = to + (<usize>taken << 2);
        v128.store(into, a);
        v128.store(into, b, 16);
        v128.store(into, c, 32);
        v128.store(into, d, 48);
        taken += 16;
        read += 16;
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
    // Counted down from all of them: what is compared is -1 where it holds.
    const all = i64x2.splat(entries);
    let sizeA = all;
    let sizeB = all;
    let sizeC = all;
    let sizeD = all;
    for (let k: u32 = 0; k < entries; k++) {
      const threshold = v128.load_splat<u64>(thresholds + (<usize>k << 3));
      sizeA = i64x2.add(sizeA, i64x2.gt_s(threshold, a));
      sizeB = i64x2.add(sizeB, i64x2.gt_s(threshold, b));
      sizeC = i64x2.add(sizeC, i64x2.gt_s(threshold, c));
      sizeD = i64x2.add(sizeD, i64x2.gt_s(threshold, d));
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
 * Residues modulo `primes` primes, the first `count` of n vectors each, back to the integer they stand for (mixed radix: Garner 1959) and apart
 * into R limbs of L bits. Whether what is above the last limb is at most `maxTop` everywhere.
 * `inverses`: for j and each l < j the pair (w, floor(w 2^32 / q_j)) of w = 1/q_l mod q_j. `radices`: for each j the R + 1 limbs of q_0 ... q_(j-1). `digits`: room for one
 * vector per prime.
 */
export function decode(
  x: usize,
  n: u32,
  count: u32,
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
  for (let i: u32 = 0; i < count; i++) {
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
    const q = v128.load_splat<u32>(moduli + (<usize>j << 3));
    const q2 = i32x4.add(q, q);
    let digit = v128.load(x + ((<usize>j * n) << 4));
    for (let l: u32 = 0; l < j; l++) {
      const w = v128.load_splat<u32>(inverses);
      const ratio = v128.load_splat<u32>(inverses, 4);
      const lower = v128.load(digits + (<usize>l << 4));
      digit = reduce(multiply(i32x4.add(i32x4.sub(digit, lower), q2), w, ratio, q), q);
      inverses += 8;
    }
    v128.store(digits + (<usize>j << 4), digit);
  }
}

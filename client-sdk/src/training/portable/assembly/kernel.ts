// Operators of the training plan (`../../plan/operators.ts`, whose `interpreter.ts` is the slow twin of this file) and the machine
// that runs a whole step of them in one call, in AssemblyScript for WebAssembly with 128-bit SIMD. `npm run kernels` compiles this
// file into `../kernel-wasm.ts`. Only operations whose result WebAssembly fixes bit by bit are used (no relaxed SIMD): a step gives
// the same bits on every CPU.
//
// Memory: addresses are bytes. Every tensor starts on 16 bytes and is followed by at least 32 bytes that may be read and, up to the
// next multiple of 16, written. An instruction is 16 words of 32 bits; the first is its code.

const WORDS: usize = 64;

// Blocks of the matrix product: a block of A of MC x KC and one panel of B of KC x 8 stay in the caches.
const KC: i32 = 400;
const MC: i32 = 48;
const NC: i32 = 1024;

let packedA: usize = 0;
let packedB: usize = 0;
let spill: usize = 0;

/** Bytes of scratch memory for rows of up to `rowsDepth` packed numbers and `panels` numbers of packed columns. */
export function scratchBytes(rowsDepth: i32, panels: i32): i32 {
  return ((MC + 4) * max(KC, rowsDepth) + max((NC + 8) * KC, panels) + 64) * 4;
}

export function configure(scratch: usize, rowsDepth: i32): void {
  spill = scratch;
  packedA = scratch + 256;
  packedB = packedA + (MC + 4) * max(KC, rowsDepth) * 4;
}

@inline function arg(pc: usize, at: usize): i32 {
  return load<i32>(pc + (at << 2));
}

@inline function address(pc: usize, at: usize): usize {
  return <usize>load<u32>(pc + (at << 2));
}

@inline function real(pc: usize, at: usize): f32 {
  return load<f32>(pc + (at << 2));
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Matrix product

// C[4, 8] = alpha A B or C += alpha A B. Element (i, k) of A is at a + k strideA + 4 i, element (k, j) of B at b + k strideB + 4 j.
// `rows` x `depth` steps along k: after `depth` of them A jumps by `jumpA`.
function tile4(
  rows: i32, depth: i32, a: usize, strideA: usize, jumpA: usize, b: usize, strideB: usize,
  c: usize, ldc: usize, height: i32, width: i32, alpha: f32, add: bool,
): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  do {
    const end = b + <usize>depth * strideB;
    do {
      const b0 = v128.load(b);
      const b1 = v128.load(b, 16);
      const a0 = v128.load32_splat(a);
      c00 = f32x4.add(c00, f32x4.mul(a0, b0));
      c01 = f32x4.add(c01, f32x4.mul(a0, b1));
      const a1 = v128.load32_splat(a, 4);
      c10 = f32x4.add(c10, f32x4.mul(a1, b0));
      c11 = f32x4.add(c11, f32x4.mul(a1, b1));
      const a2 = v128.load32_splat(a, 8);
      c20 = f32x4.add(c20, f32x4.mul(a2, b0));
      c21 = f32x4.add(c21, f32x4.mul(a2, b1));
      const a3 = v128.load32_splat(a, 12);
      c30 = f32x4.add(c30, f32x4.mul(a3, b0));
      c31 = f32x4.add(c31, f32x4.mul(a3, b1));
      a += strideA;
      b += strideB;
    } while (b < end);
    a += jumpA;
  } while (--rows > 0);
  const by = f32x4.splat(alpha);
  c00 = f32x4.mul(c00, by); c01 = f32x4.mul(c01, by);
  c10 = f32x4.mul(c10, by); c11 = f32x4.mul(c11, by);
  c20 = f32x4.mul(c20, by); c21 = f32x4.mul(c21, by);
  c30 = f32x4.mul(c30, by); c31 = f32x4.mul(c31, by);
  if (height >= 4 && width >= 8) {
    if (add) {
      let p = c;
      v128.store(p, f32x4.add(v128.load(p), c00)); v128.store(p, f32x4.add(v128.load(p, 16), c01), 16); p += ldc;
      v128.store(p, f32x4.add(v128.load(p), c10)); v128.store(p, f32x4.add(v128.load(p, 16), c11), 16); p += ldc;
      v128.store(p, f32x4.add(v128.load(p), c20)); v128.store(p, f32x4.add(v128.load(p, 16), c21), 16); p += ldc;
      v128.store(p, f32x4.add(v128.load(p), c30)); v128.store(p, f32x4.add(v128.load(p, 16), c31), 16);
    } else {
      let p = c;
      v128.store(p, c00); v128.store(p, c01, 16); p += ldc;
      v128.store(p, c10); v128.store(p, c11, 16); p += ldc;
      v128.store(p, c20); v128.store(p, c21, 16); p += ldc;
      v128.store(p, c30); v128.store(p, c31, 16);
    }
    return;
  }
  const s = spill;
  v128.store(s, c00); v128.store(s, c01, 16); v128.store(s, c10, 32); v128.store(s, c11, 48);
  v128.store(s, c20, 64); v128.store(s, c21, 80); v128.store(s, c30, 96); v128.store(s, c31, 112);
  flush(c, ldc, min(height, 4), min(width, 8), add);
}

// The same for one or two rows of A.
function tile2(
  depth: i32, a: usize, strideA: usize, b: usize, strideB: usize,
  c: usize, ldc: usize, height: i32, width: i32, alpha: f32, add: bool,
): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  const end = b + <usize>depth * strideB;
  do {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(a0, b0));
    c01 = f32x4.add(c01, f32x4.mul(a0, b1));
    const a1 = v128.load32_splat(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(a1, b0));
    c11 = f32x4.add(c11, f32x4.mul(a1, b1));
    a += strideA;
    b += strideB;
  } while (b < end);
  const by = f32x4.splat(alpha);
  const s = spill;
  v128.store(s, f32x4.mul(c00, by)); v128.store(s, f32x4.mul(c01, by), 16);
  v128.store(s, f32x4.mul(c10, by), 32); v128.store(s, f32x4.mul(c11, by), 48);
  flush(c, ldc, height, min(width, 8), add);
}

// What was computed into `spill` as rows of 8, to where it belongs.
function flush(c: usize, ldc: usize, height: i32, width: i32, add: bool): void {
  let s = spill;
  for (let i = 0; i < height; i++) {
    if (width == 8) {
      let low = v128.load(s), high = v128.load(s, 16);
      if (add) { low = f32x4.add(low, v128.load(c)); high = f32x4.add(high, v128.load(c, 16)); }
      v128.store(c, low); v128.store(c, high, 16);
    } else {
      for (let j: usize = 0; j < (<usize>width << 2); j += 4) {
        let v = load<f32>(s + j);
        if (add) v += load<f32>(c + j);
        store<f32>(c + j, v);
      }
    }
    s += 32;
    c += ldc;
  }
}

// Four rows that lie one after the other in memory, element by element of four: [4][k] -> [k][4].
@inline function interleave(p0: usize, p1: usize, p2: usize, p3: usize, to: usize, count: i32, stride: usize): void {
  let k = 0;
  for (; k + 4 <= count; k += 4) {
    const r0 = v128.load(p0), r1 = v128.load(p1), r2 = v128.load(p2), r3 = v128.load(p3);
    const t0 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), t1 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
    const t2 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), t3 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f32>(t0, t2, 0, 1, 4, 5)); to += stride;
    v128.store(to, v128.shuffle<f32>(t0, t2, 2, 3, 6, 7)); to += stride;
    v128.store(to, v128.shuffle<f32>(t1, t3, 0, 1, 4, 5)); to += stride;
    v128.store(to, v128.shuffle<f32>(t1, t3, 2, 3, 6, 7)); to += stride;
    p0 += 16; p1 += 16; p2 += 16; p3 += 16;
  }
  for (; k < count; k++) {
    store<f32>(to, load<f32>(p0)); store<f32>(to, load<f32>(p1), 4);
    store<f32>(to, load<f32>(p2), 8); store<f32>(to, load<f32>(p3), 12);
    to += stride;
    p0 += 4; p1 += 4; p2 += 4; p3 += 4;
  }
}

// Rows of A in tiles of four; rows beyond the last repeat it.
function packRows(m: i32, k: i32, a: usize, lda: usize): void {
  let to = packedA;
  for (let i = 0; i < m; i += 4) {
    const p0 = a + <usize>i * lda;
    const p1 = i + 1 < m ? p0 + lda : p0;
    const p2 = i + 2 < m ? p1 + lda : p0;
    const p3 = i + 3 < m ? p2 + lda : p0;
    interleave(p0, p1, p2, p3, to, k, 16);
    to += <usize>k << 4;
  }
}

// Eight columns of B, or what is left of them and zeros.
function packPanel(k: i32, width: i32, b: usize, ldb: usize, transposed: bool, to: usize): void {
  if (transposed) {
    const p4 = min(width, 8);
    for (let half = 0; half < 2; half++) {
      const left = p4 - half * 4;
      const base = to + (<usize>half << 4);
      if (left <= 0) {
        let at = base;
        for (let i = 0; i < k; i++) { v128.store(at, f32x4.splat(0)); at += 32; }
        continue;
      }
      const p0 = b + <usize>(half * 4) * ldb;
      interleave(p0, left > 1 ? p0 + ldb : p0, left > 2 ? p0 + 2 * ldb : p0, left > 3 ? p0 + 3 * ldb : p0, base, k, 32);
    }
    return;
  }
  if (width >= 8) {
    for (let i = 0; i < k; i++) {
      v128.store(to, v128.load(b));
      v128.store(to, v128.load(b, 16), 16);
      to += 32;
      b += ldb;
    }
    return;
  }
  for (let i = 0; i < k; i++) {
    for (let j = 0; j < 8; j++) store<f32>(to + (<usize>j << 2), j < width ? load<f32>(b + (<usize>j << 2)) : 0);
    to += 32;
    b += ldb;
  }
}

@inline function block(k: i32): i32 {
  // Equal blocks, none longer than KC.
  const count = (k + KC - 1) / KC;
  return (k + count - 1) / count;
}

// C = alpha op(A) op(B), or added to C. Leading sizes in bytes.
function gemm(
  transA: bool, transB: bool, m: i32, n: i32, k: i32, alpha: f32,
  a: usize, lda: usize, b: usize, ldb: usize, add: bool, c: usize, ldc: usize,
): void {
  const kb = block(k);
  for (let k0 = 0; k0 < k; k0 += kb) {
    const depth = min(kb, k - k0);
    const adds = add || k0 > 0;
    if (transA) outer(transB, m, n, k0, depth, alpha, a, lda, b, ldb, adds, c, ldc);
    else inner(transB, m, n, k0, depth, alpha, a, lda, b, ldb, adds, c, ldc);
  }
}

// A as it is: its rows are packed, panel by panel of B all rows of a block follow.
function inner(
  transB: bool, m: i32, n: i32, k0: i32, depth: i32, alpha: f32,
  a: usize, lda: usize, b: usize, ldb: usize, add: bool, c: usize, ldc: usize,
): void {
  const at = <usize>k0;
  const single = m <= MC;
  for (let n0 = 0; n0 < n; n0 += NC) {
    const columns = min(NC, n - n0);
    for (let i0 = 0; i0 < m; i0 += MC) {
      const rows = min(MC, m - i0);
      packRows(rows, depth, a + <usize>i0 * lda + (at << 2), lda);
      for (let j = 0; j < columns; j += 8) {
        const column = <usize>(n0 + j);
        const panel = single ? packedB : packedB + <usize>(j * depth) * 4;
        if (i0 == 0)
          packPanel(depth, columns - j, transB ? b + column * ldb + (at << 2) : b + at * ldb + (column << 2), ldb, transB, panel);
        const target = c + <usize>i0 * ldc + (column << 2);
        for (let i = 0; i < rows; i += 4) {
          const to = target + <usize>i * ldc;
          const from = packedA + (<usize>(i * depth) << 2);
          if (rows - i > 2) tile4(1, depth, from, 16, 0, panel, 32, to, ldc, rows - i, columns - j, alpha, add);
          else tile2(depth, from, 16, panel, 32, to, ldc, rows - i, columns - j, alpha, add);
        }
      }
    }
  }
}

// A transposed: its rows are read where they lie, four at a time; all of B is packed first, and C is gone through row by row.
function outer(
  transB: bool, m: i32, n: i32, k0: i32, depth: i32, alpha: f32,
  a: usize, lda: usize, b: usize, ldb: usize, add: bool, c: usize, ldc: usize,
): void {
  const at = <usize>k0;
  for (let n0 = 0; n0 < n; n0 += NC) {
    const columns = min(NC, n - n0);
    for (let j = 0; j < columns; j += 8) {
      const column = <usize>(n0 + j);
      packPanel(depth, columns - j, transB ? b + column * ldb + (at << 2) : b + at * ldb + (column << 2), ldb, transB, packedB + <usize>(j * depth) * 4);
    }
    for (let i = 0; i < m; i += 4) {
      const from = a + at * lda + (<usize>i << 2);
      const to = c + <usize>i * ldc + (<usize>n0 << 2);
      for (let j = 0; j < columns; j += 8)
        tile4(1, depth, from, lda, 0, packedB + <usize>(j * depth) * 4, 32, to + (<usize>j << 2), ldc, m - i, columns - j, alpha, add);
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Convolution. The image has its zeros around it already: [batch, height, width, channels], every window lies inside.

let imageWidth: i32 = 0;
let channels: i32 = 0;
let windowRows: i32 = 0;
let windowColumns: i32 = 0;
let strideY: i32 = 0;
let strideX: i32 = 0;
let dilationY: i32 = 0;
let dilationX: i32 = 0;
let outHeight: i32 = 0;
let outWidth: i32 = 0;
let imageBytes: usize = 0;

// Address of the first number under the window of output pixel `at` of the batch.
@inline function corner(image: usize, at: i32): usize {
  const plane = outHeight * outWidth;
  const b = at / plane;
  const rest = at - b * plane;
  const y = rest / outWidth;
  const x = rest - y * outWidth;
  return image + <usize>b * imageBytes + (<usize>((y * strideY * imageWidth + x * strideX) * channels) << 2);
}

// Patches of output pixels [from, from + m), window rows [row, row + rows), in tiles of four pixels.
function packPatches(image: usize, from: i32, m: i32, row: i32, rows: i32): void {
  const rowBytes = <usize>(dilationY * imageWidth * channels) << 2;
  const span = dilationX == 1 ? windowColumns * channels : channels;
  const spans = dilationX == 1 ? 1 : windowColumns;
  const gap = <usize>(dilationX * channels) << 2;
  let to = packedA;
  for (let i = 0; i < m; i += 4) {
    const first = <usize>row * rowBytes;
    const p0 = corner(image, from + i) + first;
    const p1 = i + 1 < m ? corner(image, from + i + 1) + first : p0;
    const p2 = i + 2 < m ? corner(image, from + i + 2) + first : p0;
    const p3 = i + 3 < m ? corner(image, from + i + 3) + first : p0;
    for (let y = 0; y < rows; y++) {
      let at = <usize>y * rowBytes;
      for (let s = 0; s < spans; s++) {
        interleave(p0 + at, p1 + at, p2 + at, p3 + at, to, span, 16);
        to += <usize>span << 4;
        at += gap;
      }
    }
  }
}

// [batch, oh, ow, o] = windows of the image x filter [kh, kw, c, o].
function convolve(image: usize, filter: usize, result: usize, batch: i32, filters: i32): void {
  const rowDepth = windowColumns * channels;
  const rowsAtOnce = max(1, min(windowRows, KC / rowDepth));
  const pixels = batch * outHeight * outWidth;
  const ldc = <usize>filters << 2;
  for (let row = 0; row < windowRows; row += rowsAtOnce) {
    const rows = min(rowsAtOnce, windowRows - row);
    const depth = rows * rowDepth;
    const panelFrom = filter + <usize>(row * rowDepth) * ldc;
    for (let j = 0; j < filters; j += 8)
      packPanel(depth, filters - j, panelFrom + (<usize>j << 2), ldc, false, packedB + <usize>(j * depth) * 4);
    for (let i0 = 0; i0 < pixels; i0 += MC) {
      const m = min(MC, pixels - i0);
      packPatches(image, i0, m, row, rows);
      for (let j = 0; j < filters; j += 8) {
        const panel = packedB + <usize>(j * depth) * 4;
        for (let i = 0; i < m; i += 4)
          tile4(1, depth, packedA + (<usize>(i * depth) << 2), 16, 0, panel, 32,
            result + <usize>(i0 + i) * ldc + (<usize>j << 2), ldc, m - i, filters - j, 1, row > 0);
      }
    }
  }
}

// [kh, kw, c, o] = sum over output pixels of window^T x dy. Four numbers of a window at a time are read where they lie.
function filterGradient(image: usize, dy: usize, result: usize, batch: i32, filters: i32): void {
  const ldc = <usize>filters << 2;
  const pixels = outHeight * outWidth;
  const step = <usize>(strideX * channels) << 2;
  const jump = (<usize>(strideY * imageWidth * channels) << 2) - <usize>outWidth * step;
  for (let b = 0; b < batch; b++) {
    const from = dy + <usize>(b * pixels) * ldc;
    for (let j = 0; j < filters; j += 8)
      packPanel(pixels, filters - j, from + (<usize>j << 2), ldc, false, packedB + <usize>(j * pixels) * 4);
    const corner = image + <usize>b * imageBytes;
    for (let row = 0; row < windowRows; row++) {
      for (let column = 0; column < windowColumns; column++) {
        const tap = corner + (<usize>((row * dilationY * imageWidth + column * dilationX) * channels) << 2);
        const to = result + <usize>((row * windowColumns + column) * channels) * ldc;
        for (let c = 0; c < channels; c += 4)
          for (let j = 0; j < filters; j += 8)
            tile4(outHeight, outWidth, tap + (<usize>c << 2), step, jump, packedB + <usize>(j * pixels) * 4, 32,
              to + <usize>c * ldc + (<usize>j << 2), ldc, channels - c, filters - j, 1, b > 0);
      }
    }
  }
}

// The same by way of the windows written out, for few channels: [pixels, kh kw c].
function windows(image: usize, result: usize, batch: i32): void {
  const pixels = batch * outHeight * outWidth;
  const rowBytes = <usize>(dilationY * imageWidth * channels) << 2;
  const gap = <usize>(dilationX * channels) << 2;
  for (let i = 0; i < pixels; i++) {
    const from = corner(image, i);
    for (let y = 0; y < windowRows; y++)
      for (let x = 0; x < windowColumns; x++) {
        const tap = from + <usize>y * rowBytes + <usize>x * gap;
        for (let c = 0; c < channels; c++) {
          store<f32>(result, load<f32>(tap + (<usize>c << 2)));
          result += 4;
        }
      }
  }
}

// A filter for each channel. mode 0: y from x and filter; 1: dx from dy and filter; 2: dfilter from x and dy.
function depthwise(mode: i32, image: usize, filter: usize, result: usize, batch: i32, multiplier: i32): void {
  const out = channels * multiplier;
  for (let i = 0; i < batch * outHeight * outWidth; i++) {
    const from = corner(image, i);
    const y = result + (<usize>(i * out) << 2);
    if (mode == 0) memory.fill(y, 0, <usize>out << 2);
    for (let row = 0; row < windowRows; row++)
      for (let column = 0; column < windowColumns; column++) {
        const x = from + (<usize>((row * dilationY * imageWidth + column * dilationX) * channels) << 2);
        const w = filter + (<usize>((row * windowColumns + column) * out) << 2);
        if (multiplier == 1) depthTap(mode, x, w, y, out);
        else for (let o = 0; o < out; o++) {
          const xo = x + (<usize>(o / multiplier) << 2), wo = w + (<usize>o << 2), yo = y + (<usize>o << 2);
          if (mode == 0) store<f32>(yo, load<f32>(yo) + load<f32>(xo) * load<f32>(wo));
          else if (mode == 1) store<f32>(xo, load<f32>(xo) + load<f32>(yo) * load<f32>(wo));
          else store<f32>(wo, load<f32>(wo) + load<f32>(xo) * load<f32>(yo));
        }
      }
  }
}

@inline function depthTap(mode: i32, x: usize, w: usize, y: usize, count: i32): void {
  const target = mode == 0 ? y : mode == 1 ? x : w;
  const p = mode == 0 ? x : y, q = mode == 2 ? x : w;
  let at: usize = 0;
  const whole = <usize>(count & ~3) << 2, all = <usize>count << 2;
  for (; at < whole; at += 16)
    v128.store(target + at, f32x4.add(v128.load(target + at), f32x4.mul(v128.load(p + at), v128.load(q + at))));
  for (; at < all; at += 4) store<f32>(target + at, load<f32>(target + at) + load<f32>(p + at) * load<f32>(q + at));
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Pooling. The window may reach over the image's edge; what lies outside takes no part.

let paddingY: i32 = 0;
let paddingX: i32 = 0;
let imageHeight: i32 = 0;

// mode 0: largest, 1: its gradient (to the first largest), 2: mean, 3: its gradient. `dy` is y where there is no gradient.
function pool(mode: i32, x: usize, y: usize, dy: usize, dx: usize, batch: i32): void {
  if (mode & 1) memory.fill(dx, 0, <usize>(batch * imageHeight * imageWidth * channels) << 2);
  for (let i = 0; i < batch * outHeight * outWidth; i++) {
    const plane = outHeight * outWidth;
    const b = i / plane, rest = i - b * plane;
    const top = (rest / outWidth) * strideY - paddingY, left = (rest % outWidth) * strideX - paddingX;
    const firstRow = max(0, top), lastRow = min(imageHeight, top + windowRows);
    const firstColumn = max(0, left), lastColumn = min(imageWidth, left + windowColumns);
    const out = <usize>(i * channels) << 2;
    for (let c = 0; c < channels; c += 4) {
      const at = out + (<usize>c << 2);
      const lanes = min(4, channels - c);
      const share = f32x4.splat(1.0 / <f32>((lastRow - firstRow) * (lastColumn - firstColumn)));
      let total = mode == 0 ? f32x4.splat(-Infinity) : f32x4.splat(0);
      let open = i32x4.splat(-1);
      const target = mode == 1 ? v128.load(y + at) : total;
      const by = mode == 1 ? v128.load(dy + at) : mode == 3 ? f32x4.mul(v128.load(dy + at), share) : total;
      for (let row = firstRow; row < lastRow; row++)
        for (let column = firstColumn; column < lastColumn; column++) {
          const from = (<usize>(((b * imageHeight + row) * imageWidth + column) * channels + c)) << 2;
          if (mode == 0) total = f32x4.max(total, v128.load(x + from));
          else if (mode == 2) total = f32x4.add(total, v128.load(x + from));
          else if (mode == 3) addLanes(dx + from, by, lanes);
          else {
            const found = v128.and(f32x4.eq(v128.load(x + from), target), open);
            open = v128.andnot(open, found);
            addLanes(dx + from, v128.and(by, found), lanes);
          }
        }
      if (mode == 2) total = f32x4.mul(total, share);
      if (!(mode & 1)) storeLanes(y + at, total, lanes);
    }
  }
}

@inline function addLanes(to: usize, value: v128, lanes: i32): void {
  if (lanes == 4) { v128.store(to, f32x4.add(v128.load(to), value)); return; }
  storeLanes(to, f32x4.add(v128.load(to), value), lanes);
}

@inline function storeLanes(to: usize, value: v128, lanes: i32): void {
  if (lanes == 4) { v128.store(to, value); return; }
  store<f32>(to, f32x4.extract_lane(value, 0));
  if (lanes > 1) store<f32>(to, f32x4.extract_lane(value, 1), 4);
  if (lanes > 2) store<f32>(to, f32x4.extract_lane(value, 2), 8);
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Elementary functions

// Cephes expf: within 2 units in the last place. Zero below -87.3, infinite above 88.8.
@inline function exp4(x: v128): v128 {
  const clamped = f32x4.max(f32x4.min(x, f32x4.splat(89)), f32x4.splat(-88));
  const n = f32x4.nearest(f32x4.mul(clamped, f32x4.splat(1.44269504088896341)));
  let r = f32x4.sub(clamped, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.add(r, f32x4.mul(n, f32x4.splat(2.12194440e-4)));
  let p = f32x4.add(f32x4.mul(f32x4.splat(1.9875691500e-4), r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  const y = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
  const bits = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return v128.andnot(f32x4.mul(y, bits), f32x4.lt(x, f32x4.splat(-87.3)));
}

// In binary64, by the series of artanh: exact to the last place of binary32. Zero gives -infinity, less gives NaN.
function log1(x: f64): f64 {
  if (!(x > 0)) return x == 0 ? -Infinity : NaN;
  if (x == Infinity) return x;
  const bits = reinterpret<i64>(x);
  let e = <i32>((bits >> 52) & 0x7ff) - 1023;
  let m = reinterpret<f64>((bits & 0xfffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) { m *= 0.5; e += 1; }
  const s = (m - 1) / (m + 1), q = s * s;
  let p: f64 = 1.0 / 19;
  p = p * q + 1.0 / 17; p = p * q + 1.0 / 15; p = p * q + 1.0 / 13; p = p * q + 1.0 / 11;
  p = p * q + 1.0 / 9; p = p * q + 1.0 / 7; p = p * q + 1.0 / 5; p = p * q + 1.0 / 3; p = p * q + 1;
  return <f64>e * 0.6931471805599453 + 2 * s * p;
}

@inline function log4(x: v128): v128 {
  let y = f32x4.splat(<f32>log1(<f64>f32x4.extract_lane(x, 0)));
  y = f32x4.replace_lane(y, 1, <f32>log1(<f64>f32x4.extract_lane(x, 1)));
  y = f32x4.replace_lane(y, 2, <f32>log1(<f64>f32x4.extract_lane(x, 2)));
  return f32x4.replace_lane(y, 3, <f32>log1(<f64>f32x4.extract_lane(x, 3)));
}

@inline function sigmoid4(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), exp4(f32x4.neg(x))));
}

// Cephes tanhf: a polynomial near zero, where 1 - 2 / (exp(2x) + 1) would lose digits.
@inline function tanh4(x: v128): v128 {
  const z = f32x4.mul(x, x);
  let p = f32x4.add(f32x4.mul(f32x4.splat(-5.70498872745e-3), z), f32x4.splat(2.06390887954e-2));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(-5.37397155531e-2));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(1.33314422036e-1));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(-3.33332819422e-1));
  const near = f32x4.add(f32x4.mul(f32x4.mul(p, z), x), x);
  const e = exp4(f32x4.add(x, x));
  const far = f32x4.sub(f32x4.splat(1), f32x4.div(f32x4.splat(2), f32x4.add(e, f32x4.splat(1))));
  return v128.bitselect(near, far, f32x4.lt(f32x4.abs(x), f32x4.splat(0.625)));
}

@inline function softplus4(x: v128): v128 {
  const e = exp4(f32x4.neg(f32x4.abs(x)));
  let y = f32x4.splat(<f32>log1(1 + <f64>f32x4.extract_lane(e, 0)));
  y = f32x4.replace_lane(y, 1, <f32>log1(1 + <f64>f32x4.extract_lane(e, 1)));
  y = f32x4.replace_lane(y, 2, <f32>log1(1 + <f64>f32x4.extract_lane(e, 2)));
  y = f32x4.replace_lane(y, 3, <f32>log1(1 + <f64>f32x4.extract_lane(e, 3)));
  return f32x4.add(f32x4.max(x, f32x4.splat(0)), y);
}

// Abramowitz and Stegun 1964, 7.1.26, as in tfjs.
@inline function erf4(x: v128): v128 {
  const one = f32x4.splat(1), size = f32x4.abs(x);
  const t = f32x4.div(one, f32x4.add(one, f32x4.mul(f32x4.splat(0.3275911), size)));
  let p = f32x4.add(f32x4.mul(f32x4.splat(1.061405429), t), f32x4.splat(-1.453152027));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(1.421413741));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-0.284496736));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.254829592));
  const y = f32x4.sub(one, f32x4.mul(f32x4.mul(p, t), exp4(f32x4.neg(f32x4.mul(x, x)))));
  return f32x4.mul(y, sign4(x));
}

@inline function sign4(x: v128): v128 {
  const zero = f32x4.splat(0);
  return f32x4.sub(v128.and(f32x4.gt(x, zero), f32x4.splat(1)), v128.and(f32x4.lt(x, zero), f32x4.splat(1)));
}

@inline function unary4(kind: i32, x: v128): v128 {
  if (kind == 0) return f32x4.neg(x);
  if (kind == 1) return exp4(x);
  if (kind == 2) return log4(x);
  if (kind == 3) return f32x4.sqrt(x);
  if (kind == 4) return f32x4.div(f32x4.splat(1), x);
  if (kind == 5) return tanh4(x);
  if (kind == 6) return sigmoid4(x);
  if (kind == 7) return softplus4(x);
  if (kind == 8) return erf4(x);
  if (kind == 9) return f32x4.max(x, f32x4.splat(0));
  if (kind == 10) return f32x4.abs(x);
  if (kind == 11) return sign4(x);
  return v128.and(f32x4.gt(x, f32x4.splat(0)), f32x4.splat(1));
}

@inline function mapAll(kind: i32, x: usize, y: usize, count: i32): void {
  const end = x + (<usize>count << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, unary4(kind, v128.load(x)));
}

function unary(kind: i32, x: usize, y: usize, count: i32): void {
  switch (kind) {
    case 0: mapAll(0, x, y, count); break;
    case 1: mapAll(1, x, y, count); break;
    case 2: mapAll(2, x, y, count); break;
    case 3: mapAll(3, x, y, count); break;
    case 4: mapAll(4, x, y, count); break;
    case 5: mapAll(5, x, y, count); break;
    case 6: mapAll(6, x, y, count); break;
    case 7: mapAll(7, x, y, count); break;
    case 8: mapAll(8, x, y, count); break;
    case 9: mapAll(9, x, y, count); break;
    case 10: mapAll(10, x, y, count); break;
    case 11: mapAll(11, x, y, count); break;
    default: mapAll(12, x, y, count);
  }
}

@inline function binary4(kind: i32, a: v128, b: v128): v128 {
  if (kind == 0) return f32x4.add(a, b);
  if (kind == 1) return f32x4.sub(a, b);
  if (kind == 2) return f32x4.mul(a, b);
  if (kind == 3) return f32x4.div(a, b);
  if (kind == 4) return f32x4.max(a, b);
  if (kind == 5) return f32x4.min(a, b);
  return v128.and(a, f32x4.gt(b, f32x4.splat(0)));
}

@inline function binary1(kind: i32, a: f32, b: f32): f32 {
  return f32x4.extract_lane(binary4(kind, f32x4.splat(a), f32x4.splat(b)), 0);
}

// How b repeats. 0: not; 1: a row of it for every row of a; 2: one number for each row; 3: one number; 4: a is the one number.
@inline function pairAll(kind: i32, how: i32, a: usize, b: usize, y: usize, rows: i32, width: i32): void {
  if (how == 0 || how >= 3) {
    const end = y + (<usize>(rows * width) << 2);
    const one = how == 4 ? v128.load32_splat(a) : v128.load32_splat(b);
    for (; y < end; y += 16) {
      v128.store(y, how == 0 ? binary4(kind, v128.load(a), v128.load(b)) : how == 3 ? binary4(kind, v128.load(a), one) : binary4(kind, one, v128.load(b)));
      a += 16; b += 16;
    }
    return;
  }
  const whole = <usize>(width & ~3) << 2, all = <usize>width << 2;
  for (let i = 0; i < rows; i++) {
    let j: usize = 0;
    if (how == 1) {
      for (; j < whole; j += 16) v128.store(y + j, binary4(kind, v128.load(a + j), v128.load(b + j)));
      for (; j < all; j += 4) store<f32>(y + j, binary1(kind, load<f32>(a + j), load<f32>(b + j)));
    } else {
      const one = load<f32>(b);
      const ones = f32x4.splat(one);
      for (; j < whole; j += 16) v128.store(y + j, binary4(kind, v128.load(a + j), ones));
      for (; j < all; j += 4) store<f32>(y + j, binary1(kind, load<f32>(a + j), one));
      b += 4;
    }
    a += all; y += all;
  }
}

@inline function pairHow(kind: i32, how: i32, a: usize, b: usize, y: usize, rows: i32, width: i32): void {
  if (how == 0) pairAll(kind, 0, a, b, y, rows, width);
  else if (how == 1) pairAll(kind, 1, a, b, y, rows, width);
  else if (how == 2) pairAll(kind, 2, a, b, y, rows, width);
  else if (how == 3) pairAll(kind, 3, a, b, y, rows, width);
  else pairAll(kind, 4, a, b, y, rows, width);
}

function binary(kind: i32, how: i32, a: usize, b: usize, y: usize, rows: i32, width: i32): void {
  switch (kind) {
    case 0: pairHow(0, how, a, b, y, rows, width); break;
    case 1: pairHow(1, how, a, b, y, rows, width); break;
    case 2: pairHow(2, how, a, b, y, rows, width); break;
    case 3: pairHow(3, how, a, b, y, rows, width); break;
    case 4: pairHow(4, how, a, b, y, rows, width); break;
    case 5: pairHow(5, how, a, b, y, rows, width); break;
    default: pairHow(6, how, a, b, y, rows, width);
  }
}

// 1 where low <= x <= high else 0, or x brought into that range.
function range(within: bool, x: usize, y: usize, count: i32, low: f32, high: f32): void {
  const end = x + (<usize>count << 2);
  const lows = f32x4.splat(low), highs = f32x4.splat(high), ones = f32x4.splat(1);
  for (; x < end; x += 16, y += 16) {
    const value = v128.load(x);
    v128.store(y, within
      ? v128.and(v128.and(f32x4.ge(value, lows), f32x4.le(value, highs)), ones)
      : f32x4.min(f32x4.max(value, lows), highs));
  }
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Sums and moves

// [outer, mid, inner] -> [outer, inner], over mid. largest: the largest instead of the sum.
function reduce(largest: bool, x: usize, y: usize, outers: i32, mid: i32, inners: i32): void {
  if (inners == 1) {
    for (let i = 0; i < outers; i++) {
      store<f32>(y, largest ? largestOf(x, mid) : sumOf(x, mid));
      x += <usize>mid << 2;
      y += 4;
    }
    return;
  }
  const row = <usize>inners << 2;
  for (let i = 0; i < outers; i++) {
    memory.copy(y, x, row);
    x += row;
    for (let m = 1; m < mid; m++) {
      let j: usize = 0;
      const whole = row & ~15;
      for (; j < whole; j += 16) {
        const a = v128.load(y + j), b = v128.load(x + j);
        v128.store(y + j, largest ? f32x4.max(a, b) : f32x4.add(a, b));
      }
      for (; j < row; j += 4) {
        const a = load<f32>(y + j), b = load<f32>(x + j);
        store<f32>(y + j, largest ? max(a, b) : a + b);
      }
      x += row;
    }
    y += row;
  }
}

function sumOf(x: usize, count: i32): f32 {
  let total = f32x4.splat(0);
  const whole = x + (<usize>(count & ~3) << 2), end = x + (<usize>count << 2);
  for (; x < whole; x += 16) total = f32x4.add(total, v128.load(x));
  let sum = f32x4.extract_lane(total, 0) + f32x4.extract_lane(total, 1) + f32x4.extract_lane(total, 2) + f32x4.extract_lane(total, 3);
  for (; x < end; x += 4) sum += load<f32>(x);
  return sum;
}

function largestOf(x: usize, count: i32): f32 {
  let top = load<f32>(x);
  for (let i = 1; i < count; i++) top = max(top, load<f32>(x + (<usize>i << 2)));
  return top;
}

// A tensor of up to six axes, its numbers apart by `from` and `to` bytes along each: moves, repeats, cuts, pads and turns.
// `table`: six sizes, six steps of the source, six of the target; the last axis first.
function move(table: usize, x: usize, y: usize): void {
  const n0 = arg(table, 0), n1 = arg(table, 1), n2 = arg(table, 2), n3 = arg(table, 3), n4 = arg(table, 4), n5 = arg(table, 5);
  const s0 = address(table, 6), s1 = address(table, 7), s2 = address(table, 8), s3 = address(table, 9), s4 = address(table, 10), s5 = address(table, 11);
  const t0 = address(table, 12), t1 = address(table, 13), t2 = address(table, 14), t3 = address(table, 15), t4 = address(table, 16), t5 = address(table, 17);
  for (let i5 = 0; i5 < n5; i5++) for (let i4 = 0; i4 < n4; i4++) for (let i3 = 0; i3 < n3; i3++) for (let i2 = 0; i2 < n2; i2++) {
    let from = x + <usize>i5 * s5 + <usize>i4 * s4 + <usize>i3 * s3 + <usize>i2 * s2;
    let to = y + <usize>i5 * t5 + <usize>i4 * t4 + <usize>i3 * t3 + <usize>i2 * t2;
    for (let i1 = 0; i1 < n1; i1++) {
      if (s0 == 4 && t0 == 4) run(from, to, n0);
      else if (s0 == 0 && t0 == 4) fill(to, load<f32>(from), n0);
      else {
        let p = from, q = to;
        for (let i0 = 0; i0 < n0; i0++) {
          store<f32>(q, load<f32>(p));
          p += s0; q += t0;
        }
      }
      from += s1; to += t1;
    }
  }
}

@inline function run(from: usize, to: usize, count: i32): void {
  const whole = to + (<usize>(count & ~3) << 2), end = to + (<usize>count << 2);
  for (; to < whole; to += 16, from += 16) v128.store(to, v128.load(from));
  for (; to < end; to += 4, from += 4) store<f32>(to, load<f32>(from));
}

function fill(to: usize, value: f32, count: i32): void {
  const whole = to + (<usize>(count & ~3) << 2), end = to + (<usize>count << 2);
  const values = f32x4.splat(value);
  for (; to < whole; to += 16) v128.store(to, values);
  for (; to < end; to += 4) store<f32>(to, value);
}

// A counter-based generator: the finaliser of MurmurHash3 over seed, step, stream and place. Same numbers as `../random.ts`.
@inline function mix(h: u32): u32 {
  h ^= h >> 16; h *= 0x85ebca6b; h ^= h >> 13; h *= 0xc2b2ae35;
  return h ^ (h >> 16);
}

function uniform(y: usize, count: i32, seed: u32, step: u32, stream: u32): void {
  const key = mix(stream * 0x9e3779b9 + mix(step * 0x7feb352d + mix(seed)));
  for (let i: u32 = 0; i < <u32>count; i++, y += 4) store<f32>(y, <f32>(mix(key + i * 0x9e3779b9) >> 8) * 5.9604644775390625e-8);
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Rows: embedding, softmax and cross-entropies

// y[i] = table[indices[i]]; zeros for an index that is none.
function gather(table: usize, indices: usize, y: usize, count: i32, rows: i32, width: i32): void {
  const bytes = <usize>width << 2;
  for (let i = 0; i < count; i++) {
    const row = <i32>load<f32>(indices + (<usize>i << 2));
    if (row >= 0 && row < rows) memory.copy(y, table + <usize>row * bytes, bytes);
    else memory.fill(y, 0, bytes);
    y += bytes;
  }
}

// table[indices[i]] += alpha x[i].
function scatter(table: usize, indices: usize, x: usize, count: i32, rows: i32, width: i32, alpha: f32): void {
  const bytes = <usize>width << 2;
  for (let i = 0; i < count; i++) {
    const row = <i32>load<f32>(indices + (<usize>i << 2));
    if (row >= 0 && row < rows) axpy(alpha, x, table + <usize>row * bytes, width);
    x += bytes;
  }
}

// y += alpha x.
function axpy(alpha: f32, x: usize, y: usize, count: i32): void {
  const whole = y + (<usize>(count & ~3) << 2), end = y + (<usize>count << 2);
  const by = f32x4.splat(alpha);
  for (; y < whole; y += 16, x += 16) v128.store(y, f32x4.add(v128.load(y), f32x4.mul(by, v128.load(x))));
  for (; y < end; y += 4, x += 4) store<f32>(y, load<f32>(y) + alpha * load<f32>(x));
}

function oneHot(classes: usize, y: usize, count: i32, width: i32): void {
  memory.fill(y, 0, <usize>(count * width) << 2);
  for (let i = 0; i < count; i++) {
    const kind = <i32>load<f32>(classes + (<usize>i << 2));
    if (kind >= 0 && kind < width) store<f32>(y + (<usize>(i * width + kind) << 2), 1);
  }
}

function softmax(x: usize, y: usize, rows: i32, width: i32): void {
  const bytes = <usize>width << 2;
  for (let i = 0; i < rows; i++) {
    const top = f32x4.splat(largestOf(x, width));
    let j: usize = 0;
    const whole = bytes & ~15;
    for (; j < whole; j += 16) v128.store(y + j, exp4(f32x4.sub(v128.load(x + j), top)));
    for (; j < bytes; j += 4) store<f32>(y + j, f32x4.extract_lane(exp4(f32x4.sub(v128.load32_splat(x + j), top)), 0));
    const total = sumOf(y, width);
    for (j = 0; j < bytes; j += 4) store<f32>(y + j, load<f32>(y + j) / total);
    x += bytes; y += bytes;
  }
}

const LOW: f32 = 1e-7;
const HIGH: f32 = 1 - 1e-7;

// y[i] = - sum t log(p), p clipped.
function crossEntropy(p: usize, t: usize, y: usize, rows: i32, width: i32): void {
  for (let i = 0; i < rows; i++) {
    let sum: f64 = 0;
    for (let j = 0; j < width; j++, p += 4, t += 4) {
      const target = load<f32>(t);
      if (target != 0) sum -= <f64>target * log1(<f64>min(max(load<f32>(p), LOW), HIGH));
    }
    store<f32>(y + (<usize>i << 2), <f32>sum);
  }
}

// By the logits of the softmax p: p sum(t) - t, both only where p was not clipped.
function crossEntropyInput(p: usize, t: usize, y: usize, rows: i32, width: i32): void {
  const bytes = <usize>width << 2;
  for (let i = 0; i < rows; i++) {
    let total: f32 = 0;
    for (let j: usize = 0; j < bytes; j += 4) {
      const value = load<f32>(p + j);
      const counted: f32 = value >= LOW && value <= HIGH ? load<f32>(t + j) : 0;
      store<f32>(y + j, counted);
      total += counted;
    }
    for (let j: usize = 0; j < bytes; j += 4) store<f32>(y + j, load<f32>(p + j) * total - load<f32>(y + j));
    p += bytes; t += bytes; y += bytes;
  }
}

function binaryCrossEntropy(p: usize, t: usize, y: usize, count: i32): void {
  for (let i = 0; i < count; i++, p += 4, t += 4, y += 4) {
    const kept = <f64>min(max(load<f32>(p), LOW), HIGH), target = <f64>load<f32>(t);
    store<f32>(y, <f32>-(target * log1(kept) + (1 - target) * log1(1 - kept)));
  }
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Optimisers: in place, one pass over weight, gradient and state

// v = m v + g; w -= lr v, or with Nesterov w -= lr (g + m v).
function momentum(w: usize, g: usize, v: usize, count: i32, rate: f32, m: f32, nesterov: bool): void {
  const end = w + (<usize>count << 2), down = f32x4.splat(-rate), keep = f32x4.splat(m);
  for (; w < end; w += 16, g += 16, v += 16) {
    const gradient = v128.load(g);
    const speed = f32x4.add(f32x4.mul(keep, v128.load(v)), gradient);
    v128.store(v, speed);
    const step = nesterov ? f32x4.add(gradient, f32x4.mul(speed, keep)) : speed;
    v128.store(w, f32x4.add(f32x4.mul(down, step), v128.load(w)));
  }
}

// Kingma and Ba 2015, algorithm 1. `c1` and `c2` are 1 - beta^t; `shrink` is 1 - lr decay (Loshchilov and Hutter 2019).
function adam(w: usize, g: usize, m: usize, v: usize, count: i32, scalars: usize): void {
  const down = f32x4.splat(-load<f32>(scalars)), b1 = v128.load32_splat(scalars, 4), b2 = v128.load32_splat(scalars, 8);
  const epsilon = v128.load32_splat(scalars, 12), c1 = v128.load32_splat(scalars, 16), c2 = v128.load32_splat(scalars, 20);
  const shrink = v128.load32_splat(scalars, 24), r1 = v128.load32_splat(scalars, 28), r2 = v128.load32_splat(scalars, 32);
  const end = w + (<usize>count << 2);
  for (; w < end; w += 16, g += 16, m += 16, v += 16) {
    const gradient = v128.load(g);
    const first = f32x4.add(f32x4.mul(v128.load(m), b1), f32x4.mul(gradient, r1));
    const second = f32x4.add(f32x4.mul(v128.load(v), b2), f32x4.mul(f32x4.mul(gradient, gradient), r2));
    v128.store(m, first);
    v128.store(v, second);
    const step = f32x4.div(f32x4.div(first, c1), f32x4.add(f32x4.sqrt(f32x4.div(second, c2)), epsilon));
    v128.store(w, f32x4.add(f32x4.mul(step, down), f32x4.mul(v128.load(w), shrink)));
  }
}

// y += alpha (a - b).
function pull(alpha: f32, a: usize, b: usize, y: usize, count: i32): void {
  const end = y + (<usize>count << 2), by = f32x4.splat(alpha);
  for (; y < end; y += 16, a += 16, b += 16)
    v128.store(y, f32x4.add(v128.load(y), f32x4.mul(by, f32x4.sub(v128.load(a), v128.load(b)))));
}

// total += sum of squares, in binary64.
function squares(x: usize, count: i32, total: usize): void {
  let a = f64x2.splat(0);
  const end = x + (<usize>count << 2), whole = x + (<usize>(count & ~1) << 2);
  for (; x < whole; x += 8) {
    const pair = f64x2.promote_low_f32x4(v128.load64_zero(x));
    a = f64x2.add(a, f64x2.mul(pair, pair));
  }
  let sum = f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
  if (x < end) sum += <f64>load<f32>(x) * <f64>load<f32>(x);
  store<f64>(total, load<f64>(total) + sum);
}

// ---------------------------------------------------------------------------------------------------------------------------------
// The machine

function setWindow(pc: usize): void {
  // words 5 to 15: height and width of the image with what is around it, channels, window, strides, dilations, result
  imageHeight = arg(pc, 5); imageWidth = arg(pc, 6); channels = arg(pc, 7);
  const window = arg(pc, 8), strides = arg(pc, 9), dilations = arg(pc, 10);
  windowRows = window >>> 16; windowColumns = window & 0xffff;
  strideY = strides >>> 16; strideX = strides & 0xffff;
  dilationY = dilations >>> 16; dilationX = dilations & 0xffff;
  outHeight = arg(pc, 11); outWidth = arg(pc, 12);
  imageBytes = <usize>(imageHeight * imageWidth * channels) << 2;
}

function matmul(pc: usize): void {
  const flags = arg(pc, 1), m = arg(pc, 2), n = arg(pc, 3), k = arg(pc, 4);
  const a = address(pc, 5), b = address(pc, 6), c = address(pc, 7);
  const count = arg(pc, 8), alpha = load<f32>(address(pc, 9));
  const transA = (flags & 1) != 0, transB = (flags & 2) != 0, add = (flags & 4) != 0;
  const lda = <usize>(transA ? m : k) << 2, ldb = <usize>(transB ? k : n) << 2, ldc = <usize>n << 2;
  for (let i = 0; i < count; i++)
    gemm(transA, transB, m, n, k, alpha, a + (<usize>(i * m * k) << 2), lda, b + (<usize>(i * k * n) << 2), ldb, add, c + (<usize>(i * m * n) << 2), ldc);
}

/** Runs the instructions from `pc` to `end`. */
export function execute(pc: usize, end: usize): void {
  for (; pc < end; pc += WORDS) {
    switch (arg(pc, 0)) {
      case 0: matmul(pc); break;
      case 1: unary(arg(pc, 1), address(pc, 2), address(pc, 3), arg(pc, 4)); break;
      case 2: binary(arg(pc, 1), arg(pc, 2), address(pc, 3), address(pc, 4), address(pc, 5), arg(pc, 6), arg(pc, 7)); break;
      case 3: range(arg(pc, 1) != 0, address(pc, 2), address(pc, 3), arg(pc, 4), real(pc, 5), real(pc, 6)); break;
      case 4: reduce(arg(pc, 1) != 0, address(pc, 2), address(pc, 3), arg(pc, 4), arg(pc, 5), arg(pc, 6)); break;
      case 5: move(address(pc, 1), address(pc, 2), address(pc, 3)); break;
      case 6: fill(address(pc, 1), real(pc, 2), arg(pc, 3)); break;
      case 7: uniform(address(pc, 1), arg(pc, 2), load<u32>(address(pc, 3)), load<u32>(address(pc, 3), 4), arg(pc, 4)); break;
      case 8: gather(address(pc, 1), address(pc, 2), address(pc, 3), arg(pc, 4), arg(pc, 5), arg(pc, 6)); break;
      case 9: scatter(address(pc, 1), address(pc, 2), address(pc, 3), arg(pc, 4), arg(pc, 5), arg(pc, 6), load<f32>(address(pc, 7))); break;
      case 10: oneHot(address(pc, 1), address(pc, 2), arg(pc, 3), arg(pc, 4)); break;
      case 11: softmax(address(pc, 1), address(pc, 2), arg(pc, 3), arg(pc, 4)); break;
      case 12: crossEntropy(address(pc, 1), address(pc, 2), address(pc, 3), arg(pc, 4), arg(pc, 5)); break;
      case 13: crossEntropyInput(address(pc, 1), address(pc, 2), address(pc, 3), arg(pc, 4), arg(pc, 5)); break;
      case 14: binaryCrossEntropy(address(pc, 1), address(pc, 2), address(pc, 3), arg(pc, 4)); break;
      case 15: setWindow(pc); convolve(address(pc, 1), address(pc, 2), address(pc, 3), arg(pc, 4), arg(pc, 13)); break;
      case 16: setWindow(pc); filterGradient(address(pc, 1), address(pc, 2), address(pc, 3), arg(pc, 4), arg(pc, 13)); break;
      case 17: setWindow(pc); windows(address(pc, 1), address(pc, 2), arg(pc, 4)); break;
      case 18: setWindow(pc); depthwise(arg(pc, 14), address(pc, 1), address(pc, 2), address(pc, 3), arg(pc, 4), arg(pc, 13)); break;
      case 19: {
        setWindow(pc);
        paddingY = arg(pc, 13) >>> 16; paddingX = arg(pc, 13) & 0xffff;
        const mode = arg(pc, 14);
        pool(mode, address(pc, 1), address(pc, 2), address(pc, 3), address(pc, 15), arg(pc, 4));
        break;
      }
      case 20: axpy(load<f32>(address(pc, 1)), address(pc, 2), address(pc, 3), arg(pc, 4)); break;
      case 21: momentum(address(pc, 1), address(pc, 2), address(pc, 3), arg(pc, 4), load<f32>(address(pc, 5)), load<f32>(address(pc, 6)), arg(pc, 7) != 0); break;
      case 22: adam(address(pc, 1), address(pc, 2), address(pc, 3), address(pc, 4), arg(pc, 5), address(pc, 6)); break;
      case 23: pull(load<f32>(address(pc, 1)), address(pc, 2), address(pc, 3), address(pc, 4), arg(pc, 5)); break;
      case 24: squares(address(pc, 1), arg(pc, 2), address(pc, 3)); break;
      case 25: store<f64>(address(pc, 1), 0); break;
      // min(1, limit / norm): what a gradient of this squared norm is scaled by.
      case 26: store<f32>(address(pc, 2), <f32>min(1.0, <f64>real(pc, 3) / max(sqrt(load<f64>(address(pc, 1))), 1e-30))); break;
      default: unreachable();
    }
  }
}

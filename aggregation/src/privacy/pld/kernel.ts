/** The pay-off's transform at every frequency of a circle, up to the factor that depends on epsilon. */
import { Memo } from '../numerics/memo.ts';

export interface Circle {
  readonly size: number;
  readonly spacing: number;
  readonly tilt: number;
}

/** 1 / ((1 - z) (1 - z e^{-h})), z = e^{-ch + 2 pi i k / N}, for k = 0 to N/2, twice for all but the first and the last, which have no twin. */
export interface Kernel {
  readonly re: Float64Array;
  readonly im: Float64Array;
  /** Largest size that it can have times what depends on epsilon. */
  readonly weight: Float64Array;
  /** e^{2 pi i k / N}. */
  readonly cos: Float64Array;
  readonly sin: Float64Array;
}

const KERNELS = new Memo<Kernel>(2 ** 22);

export function kernelOf(circle: Circle): Kernel {
  const { size, spacing, tilt } = circle;
  return KERNELS.get(
    `${size}|${spacing}|${tilt}`,
    () => makeKernel(circle),
    ({ re }) => 5 * re.length,
  );
}

/** The differences are formed without cancellation. */
function makeKernel({ size, spacing: h, tilt }: Circle): Kernel {
  const half = size / 2;
  const [re, im, weight] = [new Float64Array(half + 1), new Float64Array(half + 1), new Float64Array(half + 1)];
  const [cos, sin] = [new Float64Array(half + 1), new Float64Array(half + 1)];
  const [r1, r2] = [Math.exp(-tilt * h), Math.exp(-(tilt + 1) * h)];
  const [gap1, gap2, widest] = [-Math.expm1(-tilt * h), -Math.expm1(-(tilt + 1) * h), -Math.expm1(-h)];
  for (let k = 0; k <= half; k++) {
    const angle = (Math.PI * k) / size;
    const halfSine = Math.sin(angle);
    const versine = 2 * halfSine * halfSine;
    const sine = 2 * halfSine * Math.cos(angle);
    cos[k] = 1 - versine;
    sin[k] = sine;
    const a = gap1 + r1 * versine;
    const b = -r1 * sine;
    const c = gap2 + r2 * versine;
    const d = -r2 * sine;
    const x = a * c - b * d;
    const y = a * d + b * c;
    const twice = k === 0 || k === half ? 1 : 2;
    const scale = twice / (x * x + y * y);
    re[k] = x * scale;
    im[k] = -y * scale;
    weight[k] = widest * Math.sqrt(x * x + y * y) * scale;
  }
  return { re, im, weight, cos, sin };
}

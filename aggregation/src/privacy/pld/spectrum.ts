/** The Fourier transform of a discretised pair, tilted and folded onto a circle, as what its T-fold product is made from. */
import { fftError, realFft, twiddles } from '../numerics/real-fft.ts';
import { UNIT } from '../numerics/normal.ts';
import type { Discretised, Lattice } from './discretise.ts';

export interface TiltedSpectrum {
  /** log E e^{cL} of the discretised pair; its excess over that of the pair itself is what discretisation costs. */
  readonly logMoment: number;
  /** log |phi_k| and arg phi_k for the frequencies k = 0 to size/2; phi_0 = 1. */
  readonly logAbs: Float64Array;
  readonly phase: Float64Array;
  /** log((|phi_k| + e) / |phi_k|) where e bounds the whole error of phi_k. */
  readonly logError: Float64Array;
  /** The error is the sum of a part that is at most `eachError` in every coefficient and one whose 2-norm, over all, is at most `normError`. */
  readonly eachError: number;
  readonly normError: number;
  /** P without tilt, of the finite losses. */
  readonly mass: number;
  readonly infinite: number;
  readonly lossError: number;
}

export interface Circle {
  /** Number of places: a power of two. */
  readonly size: number;
  /** So many of the heaviest places are transformed one by one, which errs less than the fast transform, whose error is shared by all. */
  readonly apart: number;
}

export function tiltedSpectrum(parts: Discretised, lattice: Lattice, { size, apart }: Circle): TiltedSpectrum {
  const { circle, total, inputError } = tilted(parts, lattice, size);
  const heavy = takeHeaviest(circle, apart);
  const squares = circle.reduce((sum, mass) => sum + mass * mass, 0);
  const { re, im } = realFft(circle);
  for (const term of heavy) addTransform(term, size, re, im);
  const eachError = inputError + (apart > 0 ? 4 * ROTATIONS + apart + 8 : 0) * UNIT;
  const normError = fftError(size) * Math.sqrt(size * squares);
  const error = eachError + normError;
  const logAbs = new Float64Array(re.length);
  const phase = new Float64Array(re.length);
  const logError = new Float64Array(re.length);
  for (let k = 0; k < re.length; k++) {
    const abs = Math.sqrt(re[k]! * re[k]! + im[k]! * im[k]!);
    logAbs[k] = abs > 0 ? Math.log(abs) : -800;
    phase[k] = Math.atan2(im[k]!, re[k]!);
    logError[k] = abs > 1e-3 ? error / abs : Math.log1p(error / Math.max(abs, 1e-300));
  }
  const { infinite, lossError } = parts;
  const logMoment = lattice.logMoment + Math.log(total);
  const mass = parts.masses.reduce((sum, value) => sum + value, 0);
  return { logMoment, logAbs, phase, logError, eachError, normError, mass, infinite, lossError };
}

interface Tilted {
  /** By place on the circle, with the sum 1. */
  readonly circle: Float64Array;
  readonly total: number;
  /** Bound on what the rounding of the exponentials and of the sums moves any coefficient by. */
  readonly inputError: number;
}

function tilted(parts: Discretised, { spacing, tilt, logMoment }: Lattice, size: number): Tilted {
  const circle = new Float64Array(size);
  let [total, error] = [0, 0];
  for (let i = 0; i < parts.indices.length; i++) {
    const index = parts.indices[i]!;
    const along = tilt * index * spacing;
    const mass = parts.masses[i]! * Math.exp(along - logMoment);
    if (!(mass > 0)) continue;
    const place = ((index % size) + size) % size;
    const sum = circle[place]! + mass;
    circle[place] = sum;
    total += mass;
    // Every addition rounds what it makes.
    error += sum + mass * (6 + 2 * Math.abs(along - logMoment) + 3 * Math.abs(along));
  }
  for (let place = 0; place < size; place++) circle[place]! /= total;
  return { circle, total, inputError: (error / total + 8) * UNIT };
}

interface Mass {
  readonly place: number;
  readonly mass: number;
}

/** So many of the heaviest places, which are emptied. */
function takeHeaviest(circle: Float64Array, count: number): readonly Mass[] {
  if (count === 0) return [];
  const heaviest: Mass[] = [];
  for (let place = 0; place < circle.length; place++) {
    const mass = circle[place]!;
    if (!(mass > (heaviest.length < count ? 0 : heaviest[0]!.mass))) continue;
    const lighter = heaviest.findIndex((other) => other.mass >= mass);
    heaviest.splice(lighter < 0 ? heaviest.length : lighter, 0, { place, mass });
    if (heaviest.length > count) heaviest.shift();
  }
  for (const { place } of heaviest) circle[place] = 0;
  return heaviest;
}

/** The angle is formed anew after so many rotations. */
const ROTATIONS = 8;

function addTransform({ place, mass }: Mass, size: number, re: Float64Array, im: Float64Array): void {
  const { cos, sin } = twiddles(size);
  const half = size / 2;
  const turnCos = place < half ? cos[place]! : -cos[place - half]!;
  const turnSin = place < half ? -sin[place]! : sin[place - half]!;
  for (let start = 0; start < re.length; start += ROTATIONS) {
    const at = (start * place) % size;
    const sign = at < half ? mass : -mass;
    let x = sign * cos[at < half ? at : at - half]!;
    let y = -sign * sin[at < half ? at : at - half]!;
    const end = Math.min(re.length, start + ROTATIONS);
    for (let k = start; k < end; k++) {
      re[k]! += x;
      im[k]! += y;
      const turned = x * turnCos - y * turnSin;
      y = x * turnSin + y * turnCos;
      x = turned;
    }
  }
}

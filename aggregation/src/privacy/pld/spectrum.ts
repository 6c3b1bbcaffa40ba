/** The Fourier transform of a discretised pair, tilted and folded onto a circle, as what its T-fold product is made from. */
import { fftError, realFft } from '../numerics/real-fft.ts';
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
  const { terms, total, inputError } = tilted(parts, lattice, size);
  const heavy = terms.slice(0, apart);
  const circle = new Float64Array(size);
  let squares = 0;
  for (const { place, mass } of terms.slice(apart)) {
    circle[place] = mass;
    squares += mass * mass;
  }
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

interface Mass {
  readonly place: number;
  readonly mass: number;
}

interface Tilted {
  /** By place on the circle, with the sum 1, the heaviest first. */
  readonly terms: readonly Mass[];
  readonly total: number;
  /** Bound on what the rounding of the exponentials and of the sums moves any coefficient by. */
  readonly inputError: number;
}

function tilted(parts: Discretised, { spacing, tilt, logMoment }: Lattice, size: number): Tilted {
  const masses = new Map<number, number>();
  let [total, error] = [0, 0];
  for (let i = 0; i < parts.indices.length; i++) {
    const index = parts.indices[i]!;
    const along = tilt * index * spacing;
    const mass = parts.masses[i]! * Math.exp(along - logMoment);
    if (!(mass > 0)) continue;
    const place = ((index % size) + size) % size;
    masses.set(place, (masses.get(place) ?? 0) + mass);
    total += mass;
    error += mass * (6 + 2 * Math.abs(along - logMoment) + 3 * Math.abs(along));
  }
  const terms = [...masses].map(([place, mass]) => ({ place, mass: mass / total }));
  return { terms: terms.sort((a, b) => b.mass - a.mass), total, inputError: (error / total + 8) * UNIT };
}

/** The angle is formed anew after so many rotations. */
const ROTATIONS = 8;

function addTransform({ place, mass }: Mass, size: number, re: Float64Array, im: Float64Array): void {
  const turn = (2 * Math.PI * place) / size;
  const [turnCos, turnSin] = [Math.cos(turn), -Math.sin(turn)];
  for (let start = 0; start < re.length; start += ROTATIONS) {
    const angle = (2 * Math.PI * ((start * place) % size)) / size;
    let [x, y] = [mass * Math.cos(angle), -mass * Math.sin(angle)];
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

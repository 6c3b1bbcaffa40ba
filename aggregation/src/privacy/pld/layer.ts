/** One composition on its lattice, made finer until it is within the aim, or as fine as it may be. */
import { bandKey, cumulantOf, isAtomic, stepsOf } from '../contour/composition.ts';
import type { Composition, Term } from '../contour/composition.ts';
import { Memo } from '../numerics/memo.ts';
import { fftError } from '../numerics/real-fft.ts';
import { compose } from './compose.ts';
import { discretise } from './discretise.ts';
import type { Lattice } from './discretise.ts';
import type { ComposedSpectrum } from './payoff.ts';
import type { Plan, Query } from './plan.ts';
import { tiltedSpectrum } from './spectrum.ts';
import type { Circle, TiltedSpectrum } from './spectrum.ts';

export interface Layer {
  readonly spectrum: ComposedSpectrum;
  /** By term of the composition. */
  readonly parts: readonly TiltedSpectrum[];
  /** About how much too large log delta is. */
  readonly gap: number;
  /** Nothing finer is laid, whatever the aim. */
  readonly isFinest: boolean;
}

/** Of the aim, what the first lattice is laid for: its error is known only once it is there. */
const AIM = 0.25;
const FEWEST = 2 ** 8;
/** Places of one lattice at most, and of all that one bound is made of. */
const MOST = 2 ** 20;
const MOST_TOGETHER = 2 ** 22;
/** Places that are transformed one by one where the rounding of the fast transform would show. */
const APART = [0, 16, 48] as const;
/** In numbers of 8 bytes: 128 MiB. */
const SPECTRA = new Memo<TiltedSpectrum>(2 ** 24);

/** @param together how many transforms the bound is made of that the layer belongs to */
export function layerFor(composition: Composition, query: Query, plan: Plan, together: number): Layer {
  const { aim } = query;
  const { saddle, around, curvature } = plan;
  const most = Math.max(FEWEST, Math.min(MOST, 2 ** Math.floor(Math.log2(MOST_TOGETHER / together))));
  let former = Infinity;
  let spacing = firstSpacing(composition, Math.sqrt((AIM * aim) / curvature), around, most);
  for (;;) {
    const size = Math.min(most, Math.max(FEWEST, 2 ** Math.ceil(Math.log2(around / spacing))));
    const made = composeAt(composition, query, plan, { spacing, size });
    // The cumulant is off by s (s + 1) times the same at every s: here it is known, at the slope it matters.
    const measured = Math.max(0, made.spectrum.logMoment - saddle.cumulant.value);
    const gap = (measured * 12 * curvature) / (stepsOf(composition) * saddle.tilt * (saddle.tilt + 1));
    // What is not better for being finer has been cut into as many cells as there may be. (What is no number is as good as it gets, too.)
    const isFinest = !(size < most && spacing >= 1e-12 && gap <= 0.8 * former);
    former = gap;
    if (gap <= 0.6 * aim || isFinest) return { ...made, gap, isFinest };
    const finer = 2 ** Math.max(1, Math.ceil(0.5 * Math.log2(gap / aim)));
    // Halves of halves: what lay on the lattice does so still. It is not the finest, so one at least is left.
    spacing /= Math.min(finer, 2 ** Math.floor(Math.log2((spacing * most) / around)));
  }
}

/** On a ladder of powers of the square root of 2, or a part of the distance that the losses of all atoms are multiples of. */
function firstSpacing(composition: Composition, wanted: number, around: number, most: number): number {
  const least = Math.max(wanted, around / most);
  const [only, ...others] = composition.filter(isAtomic);
  const natural = others.length === 0 ? only?.pair.spacing : null;
  if (natural !== null && natural !== undefined && natural >= around / most) {
    // Atoms alone lose nothing on such a lattice, however coarse it is.
    const widest = composition.length === 1 ? Math.max(least, around / FEWEST) : least;
    return natural / Math.max(1, Math.floor(natural / widest));
  }
  return 2 ** (Math.floor(2 * Math.log2(least)) / 2);
}

interface Grid {
  readonly spacing: number;
  readonly size: number;
}

function composeAt(composition: Composition, { aim }: Query, plan: Plan, grid: Grid): Omit<Layer, 'gap' | 'isFinest'> {
  const { tilt } = plan.saddle;
  const { relevance } = plan;
  const rounding = (stepsOf(composition) * fftError(grid.size) * Math.sqrt(grid.size)) / relevance;
  const circle = { size: grid.size, apart: APART[rounding > aim ? 2 : rounding > 0.01 * aim ? 1 : 0] };
  const powers = composition.map((term) => {
    const { band = { tail: 0 } } = term;
    const lattice = { spacing: grid.spacing, tilt, relevance, band, logMoment: cumulantOf(term, tilt).value };
    return { spectrum: spectrumOf(term, lattice, circle), count: term.count };
  });
  return { spectrum: compose(powers, { ...grid, tilt }), parts: powers.map(({ spectrum }) => spectrum) };
}

function spectrumOf({ key, pair }: Term, lattice: Lattice, circle: Circle): TiltedSpectrum {
  const { spacing, tilt, band, relevance } = lattice;
  return SPECTRA.get(
    [tilt, spacing, bandKey(band), relevance, circle.size, circle.apart, key].join('|'),
    () => tiltedSpectrum(discretise(pair, lattice), lattice, circle),
    ({ logAbs }) => 3 * logAbs.length,
  );
}

/** Decimal numbers of a few digits as whole rungs: a search that stops between two of them has found a number that people can write down. */

export interface Ladder {
  /** The number at a rung, and how it is written. */
  at(rung: number): number;
  textAt(rung: number): string;
  /** The highest rung that is not above the value. @param value above 0 */
  below(value: number): number;
}

export function ladderOf(digits: number): Ladder {
  const base = 10 ** (digits - 1);
  const perDecade = 9 * base;
  const textAt = (rung: number): string => {
    const decade = Math.floor(rung / perDecade);
    const mantissa = base + (rung - decade * perDecade);
    return plain(mantissa, decade - (digits - 1));
  };
  const at = (rung: number): number => Number(textAt(rung));
  const below = (value: number): number => {
    const decade = Math.floor(Math.log10(value));
    let rung = decade * perDecade + Math.floor(value / 10 ** (decade - digits + 1)) - base;
    // Logarithms and powers are rounded: one rung at most.
    while (at(rung) > value) rung--;
    while (at(rung + 1) <= value) rung++;
    return rung;
  };
  return { at, textAt, below };
}

/** Without an exponent, which a decimal of a task may not have. */
function plain(mantissa: number, exponent: number): string {
  const figures = String(mantissa);
  if (exponent >= 0) return figures + '0'.repeat(exponent);
  const padded = figures.padStart(1 - exponent, '0');
  const [whole, part] = [padded.slice(0, exponent), padded.slice(exponent).replace(/0+$/, '')];
  return part === '' ? whole : `${whole}.${part}`;
}

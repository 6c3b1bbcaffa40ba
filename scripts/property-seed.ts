/** The seed of property tests when nobody asks for another. */
export const DEFAULT_SEED = 20_251_125;

/** @param text a number, `random`, or any other text, which is hashed: some system tests take a text for their seed */
export function seedOf(text: string | undefined, draw: () => number): number {
  if (text === undefined || text === '') return DEFAULT_SEED;
  if (text === 'random') return draw();
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number;
  return Array.from(text).reduce((hash, letter) => (Math.imul(hash, 31) + letter.codePointAt(0)!) | 0, 7);
}

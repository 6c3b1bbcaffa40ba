/** Tails of the binomial distribution, relative accuracy about 1e-12: sums of ratios from the mode, normalised by themselves. */

/** P(X >= least), X ~ Binomial(trials, probability). */
export function binomialTail(trials: number, probability: number, least: number): number {
  if (least <= 0) return 1;
  if (least > trials) return 0;
  const odds = probability / (1 - probability);
  if (odds === Infinity) return 1;
  const mode = Math.min(trials, Math.floor((trials + 1) * probability));
  let [all, tail] = [0, 0];
  const take = (k: number, weight: number): void => {
    all += weight;
    if (k >= least) tail += weight;
  };
  for (let [k, weight] = [mode, 1]; k <= trials && weight > 1e-280; k++) {
    take(k, weight);
    weight *= ((trials - k) / (k + 1)) * odds;
  }
  for (let [k, weight] = [mode, 1]; k > 0 && weight > 1e-280; k--) {
    weight *= k / ((trials - k + 1) * odds);
    take(k - 1, weight);
  }
  return tail / all;
}

/** P(X = k) for k = 0 to trials. */
export function binomialProbabilities(trials: number, probability: number): number[] {
  const probabilities = [(1 - probability) ** trials];
  for (let k = 0; k < trials; k++) {
    probabilities.push((probabilities[k]! * ((trials - k) / (k + 1)) * probability) / (1 - probability));
  }
  return probabilities;
}

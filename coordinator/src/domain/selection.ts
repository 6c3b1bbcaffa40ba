/** Who may be in a cohort together. */

/** The items in their order, at most `cap` of each site: influence is counted per owner, not per key. */
export function capPerSite<T extends { readonly site: string }>(items: readonly T[], cap: number | null): T[] {
  if (cap === null) return [...items];
  const taken = new Map<string, number>();
  return items.filter(({ site }) => {
    const count = (taken.get(site) ?? 0) + 1;
    taken.set(site, count);
    return count <= cap;
  });
}

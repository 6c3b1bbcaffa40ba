/** Numbers, times and tables as people read them. */
const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

export function formatSeconds(seconds: number): string {
  return seconds < 100 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function formatPercent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

export function formatTime(instant: unknown): string {
  if (typeof instant !== 'number' || instant <= 0) return '-';
  return new Date(instant).toISOString().replace('T', ' ').slice(0, 19);
}

/** A bar of eighths for each value, the highest full. */
export function sparkline(values: readonly number[]): string {
  const highest = Math.max(...values, 1);
  return values.map((value) => '▁▂▃▄▅▆▇█'[Math.min(7, Math.floor((8 * value) / (highest + 1)))]).join('');
}

export type Row = readonly string[];

/** Columns as wide as their widest cell; headings in the first row. */
export function table(head: Row, rows: readonly Row[]): string {
  if (rows.length === 0) return 'none';
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)));
  const render = (row: Row): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [head, ...rows].map(render).join('\n');
}

/** Keys and values of one thing, aligned. */
export function sheet(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([key]) => key.length));
  return entries.map(([key, value]) => `${key.padEnd(width)}  ${value}`).join('\n');
}

/** The curves of a plan as a drawing that stands by itself: no script, no font and no colour from elsewhere; light or dark as its reader is. */
import type { CurvePoint, PlannedRun, PlanQuestion, PlanView } from '@carapace/aggregation';

const WIDTH = 760;
const HEIGHT = 460;
/** Room for the names at the ends of the curves is on the right. */
const FRAME = { left: 64, right: WIDTH - 158, top: 100, bottom: HEIGHT - 58 };
/** Where one view is so many times the other at the end, logarithms keep both readable. */
const FAR_APART = 20;
/** Between the middles of two lines of text. */
const LINE = 15;

const STYLE = `
    svg { --ground: #ffffff; --ink: #1c2430; --quiet: #5b6675; --rule: #dfe4ea; --model: #0b62c4; --server: #b3480a; --target: #1c2430; }
    @media (prefers-color-scheme: dark) {
      svg { --ground: #12171e; --ink: #e8edf3; --quiet: #9aa7b6; --rule: #2b3440; --model: #6db3ff; --server: #ffa05c; --target: #e8edf3; }
    }
    text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: var(--ink); }
    .ground { fill: var(--ground); }
    .title { font-size: 17px; font-weight: 600; }
    .quiet { fill: var(--quiet); }
    .number { font-variant-numeric: tabular-nums; }
    .rule { stroke: var(--rule); stroke-width: 1; }
    .axis { stroke: var(--quiet); stroke-width: 1; }
    .curve { fill: none; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round; }
    .model { stroke: var(--model); } .server { stroke: var(--server); stroke-dasharray: 7 4; }
    .name-model { fill: var(--model); font-weight: 600; } .name-server { fill: var(--server); font-weight: 600; }
    .target { stroke: var(--target); stroke-width: 1.25; stroke-dasharray: 2 4; }
    .halo { paint-order: stroke; stroke: var(--ground); stroke-width: 5; stroke-linejoin: round; }
    .crossing { fill: var(--ground); stroke: var(--target); stroke-width: 1.75; }`;

interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

export function planPlot(question: PlanQuestion, run: PlannedRun): string {
  const x = linear(roundTicks(run.rounds), run.rounds === 1 ? 0 : 1, Math.max(2, run.rounds), FRAME.left, FRAME.right);
  const y = epsilonScale(run);
  const parts = [
    ...heading(question, run),
    ...y.ticks.map((tick) => horizontal(y, tick)),
    `<line class="axis" x1="${FRAME.left}" y1="${FRAME.bottom}" x2="${FRAME.right}" y2="${FRAME.bottom}"/>`,
    ...x.ticks.map((tick) => text(x.at(tick), FRAME.bottom + 20, count(tick), 'quiet number', 'middle')),
    text((FRAME.left + FRAME.right) / 2, FRAME.bottom + 42, 'completed rounds', 'quiet', 'middle'),
    text(24, FRAME.top - 16, isLogarithmic(run) ? 'epsilon, logarithmic' : 'epsilon', 'quiet', 'start'),
    ...curves(run, x, y),
    ...targetLine(run, x, y),
  ];
  return document(question, run, parts);
}

function document(question: PlanQuestion, run: PlannedRun, parts: readonly string[]): string {
  const { model, server } = run.epsilon;
  const said = `After ${run.rounds} rounds epsilon is ${short(model)} to whoever sees the models and ${short(server)} to whoever knows who took part, at delta ${question.delta}.`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title said">
  <title id="title">Epsilon by rounds</title>
  <desc id="said">${said}</desc>
  <style>${STYLE}
  </style>
  <rect class="ground" width="${WIDTH}" height="${HEIGHT}" rx="8"/>
  ${parts.join('\n  ')}
</svg>
`;
}

function heading({ delta, population }: PlanQuestion, { noiseMultiplier, selected }: PlannedRun): string[] {
  const of = population === null ? '' : ` of ${count(population)}`;
  const facts = `${count(selected)} clients${of} a round, noise ${noiseMultiplier} times the clip, delta ${delta}`;
  return [text(24, 32, 'Epsilon by rounds', 'title', 'start'), text(24, 52, facts, 'quiet number', 'start')];
}

function curves(run: PlannedRun, x: Scale, y: Scale): string[] {
  const { model, server } = run.epsilon;
  const [atModel, atServer] = [endOf(y, model), endOf(y, server)];
  // Nothing protects from whoever adds all of the noise.
  if (run.events.server.length === 0)
    return [
      ...curve(run.curve, 'model', x, y),
      ...name('model', `model view ${short(model)}`, atModel, 'who sees models'),
    ];
  // One line of text for both where the curves are one.
  if (run.curve.every((point) => Math.abs(point.model - point.server) <= 1e-9 * point.model)) {
    return [
      ...curve(run.curve, 'model', x, y),
      ...name('model', `both views ${short(model)}`, atModel, 'models and roster'),
    ];
  }
  const [modelText, serverText] = apart(atModel, atServer, 2 * LINE + 6);
  return [
    ...curve(run.curve, 'server', x, y),
    ...curve(run.curve, 'model', x, y),
    ...name('model', `model view ${short(model)}`, modelText, 'who sees models'),
    ...name('server', `server view ${short(server)}`, serverText, 'who knows the roster'),
  ];
}

/** A curve that leaves the drawing is named where it does. */
function endOf(y: Scale, epsilon: number): number {
  return Number.isFinite(epsilon) ? y.at(epsilon) : FRAME.top;
}

/** Epsilon jumps when a round completes. One round is a point. */
function curve(points: readonly CurvePoint[], view: PlanView, x: Scale, y: Scale): string[] {
  const drawn = points.filter((point) => Number.isFinite(point[view]));
  const [only] = drawn;
  if (drawn.length === 1 && only !== undefined)
    return [`<circle class="curve ${view}" cx="${num(x.at(only.rounds))}" cy="${num(y.at(only[view]))}" r="4"/>`];
  const places = drawn.map((point) => `${num(x.at(point.rounds))} ${num(y.at(point[view]))}`);
  return places.length === 0 ? [] : [`<path class="curve ${view}" d="M${places.join('L')}"/>`];
}

function name(view: PlanView, said: string, at: number, below: string): string[] {
  return [
    text(FRAME.right + 10, at + 4, said, `name-${view} number`, 'start'),
    text(FRAME.right + 10, at + 4 + LINE, below, 'quiet', 'start'),
  ];
}

function targetLine({ target, rounds, curve: points }: PlannedRun, x: Scale, y: Scale): string[] {
  if (target === null) return [];
  const { epsilon, view, roundsHeld } = target;
  const at = y.at(epsilon);
  const line = `<line class="target" x1="${FRAME.left}" y1="${num(at)}" x2="${FRAME.right}" y2="${num(at)}"/>`;
  const isCrossed = roundsHeld < rounds && points.some((point) => point[view] <= epsilon);
  const where = x.at(roundsHeld);
  const isEarly = where < (FRAME.left + FRAME.right) / 2;
  const [edge, anchor] =
    isCrossed && isEarly ? ([FRAME.right - 8, 'end'] as const) : ([FRAME.left + 8, 'start'] as const);
  const said = text(edge, at - 7, `target ${epsilon} in the ${view} view`, 'halo number', anchor);
  if (!isCrossed) return [line, said];
  const spent = text(
    where + (isEarly ? 10 : -10),
    at + 18,
    `spent after ${count(roundsHeld)}`,
    'halo number',
    isEarly ? 'start' : 'end',
  );
  return [line, said, `<circle class="crossing" cx="${num(where)}" cy="${num(at)}" r="4.5"/>`, spent];
}

function horizontal(y: Scale, tick: number): string {
  const at = num(y.at(tick));
  return `<line class="rule" x1="${FRAME.left}" y1="${at}" x2="${FRAME.right}" y2="${at}"/>${text(FRAME.left - 10, y.at(tick) + 4, short(tick), 'quiet number', 'end')}`;
}

function isLogarithmic({ epsilon: { model, server } }: PlannedRun): boolean {
  const [less, more] = [Math.min(model, server), Math.max(model, server)];
  return less > 0 && Number.isFinite(more) && more / less > FAR_APART;
}

function epsilonScale(run: PlannedRun): Scale {
  const values = run.curve.flatMap(({ model, server }) => [model, server]).filter(Number.isFinite);
  const most = Math.max(...values, run.target?.epsilon ?? 0, 1e-9);
  if (!isLogarithmic(run)) {
    const step = niceStep(most / 5);
    const top = step * Math.ceil(most / step - 1e-9);
    const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step);
    return linear(ticks, 0, top, FRAME.bottom, FRAME.top);
  }
  const least = Math.min(...values.filter((value) => value > 0));
  const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  const decades = linear([], low, high, FRAME.bottom, FRAME.top);
  return { ticks, at: (value) => decades.at(Math.log10(Math.max(value, 10 ** low))) };
}

function linear(ticks: readonly number[], from: number, to: number, start: number, end: number): Scale {
  return { ticks, at: (value) => start + ((value - from) / (to - from)) * (end - start) };
}

/** The first round and round numbers, none so near to the last that they would run into each other. */
function roundTicks(rounds: number): number[] {
  if (rounds <= 2) return Array.from({ length: rounds }, (_, i) => i + 1);
  const step = Math.max(1, niceStep(rounds / 6));
  const whole = Array.from({ length: Math.floor(rounds / step) }, (_, i) => (i + 1) * step);
  const between = whole.filter((tick) => tick > 1 + step / 2 && tick <= rounds - step / 2);
  return [1, ...between, rounds];
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * (1 - 1e-9))!;
}

/** Two heights, moved apart evenly until there is so much between them, within the frame. */
function apart(a: number, b: number, least: number): [number, number] {
  const lack = least - Math.abs(a - b);
  if (lack <= 0) return [a, b];
  const middle = Math.min(FRAME.bottom - least / 2 - 4, Math.max(FRAME.top + least / 2, (a + b) / 2));
  return a <= b ? [middle - least / 2, middle + least / 2] : [middle + least / 2, middle - least / 2];
}

function text(x: number, y: number, said: string, kind: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text class="${kind}" x="${num(x)}" y="${num(y)}" text-anchor="${anchor}">${said}</text>`;
}

/** Everything that is said here is a number, or one of our own words; a decimal of a task is one by its parser. */
function num(value: number): string {
  return String(Number(value.toFixed(2)));
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : '∞';
}

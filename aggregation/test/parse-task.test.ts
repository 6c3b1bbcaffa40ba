import { AggregationError, parseTask } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

type Document = Record<string, unknown>;

const SMALLEST: Document = { name: 'digits', model: { name: 'mnist' }, cohort: { target: 4 } };

/** The document with one value set at a path such as `training.optimizer.momentum`. */
function withValue(path: string, value: unknown, document: Document = SMALLEST): Document {
  const [first = '', ...rest] = path.split('.');
  if (rest.length === 0) return { ...document, [first]: value };
  return { ...document, [first]: withValue(rest.join('.'), value, (document[first] ?? {}) as Document) };
}

function without(path: string, document: Document): Document {
  const [first = '', ...rest] = path.split('.');
  if (rest.length > 0) return { ...document, [first]: without(rest.join('.'), document[first] as Document) };
  return Object.fromEntries(Object.entries(document).filter(([key]) => key !== first));
}

function valueAt(path: string, value: unknown): unknown {
  return path.split('.').reduce((inner, key) => (inner as Document)[key], value);
}

function refusal(document: unknown): string {
  try {
    parseTask(document);
  } catch (error) {
    expect(error).toBeInstanceOf(AggregationError);
    expect((error as AggregationError).code).toBe('TASK_INVALID');
    return (error as AggregationError).message;
  }
  throw new Error(`it was taken: ${JSON.stringify(document)}`);
}

test('the smallest document, with every default', () => {
  expect(parseTask(SMALLEST)).toEqual({
    name: 'digits',
    model: { name: 'mnist' },
    cohort: {
      selection: { kind: 'fixed' },
      target: 4,
      minimum: 2,
      overSelection: 1,
      perSite: null,
      selectionSeconds: 60,
      reportSeconds: 600,
      graceSeconds: 30,
    },
    training: {
      epochs: 1,
      batchSize: 32,
      optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0 },
      loss: 'sparse-categorical-crossentropy',
      maxExamples: 1_000_000,
    },
    strategy: { kind: 'fedavg', serverLearningRate: 1 },
    protection: { kind: 'clear' },
    schedule: { kind: 'continuous' },
    rounds: null,
  });
});

interface Bound {
  readonly min: number;
  readonly max: number;
  readonly integer?: true;
  readonly nullable?: true;
  readonly required?: true;
  /** What else must be set for the largest value to make sense. */
  readonly given?: Document;
}

const COUNT = { min: 1, max: 1_000_000, integer: true } as const;
const SECONDS = { min: 1, max: 2_592_000 } as const;
const RATE = { min: 1e-9, max: 1e3 } as const;
const EVERY = { ...SMALLEST, schedule: { kind: 'every', seconds: 60 } };
const SECURE = withValue('protection.kind', 'secagg');

const BOUNDS: Readonly<Record<string, Bound>> = {
  'cohort.target': { ...COUNT, required: true, given: withValue('cohort.minimum', 1) },
  'cohort.minimum': { ...COUNT, given: withValue('cohort.target', 1_000_000) },
  'cohort.overSelection': { min: 1, max: 10 },
  'cohort.perSite': { ...COUNT, nullable: true },
  'cohort.selectionSeconds': SECONDS,
  'cohort.reportSeconds': SECONDS,
  'cohort.graceSeconds': { min: 0, max: 86_400 },
  'training.epochs': { min: 1, max: 1_000, integer: true },
  'training.batchSize': { min: 1, max: 65_536, integer: true },
  'training.maxExamples': { min: 1, max: 4_294_967_295, integer: true },
  'training.optimizer.learningRate': RATE,
  'training.optimizer.momentum': { min: 0, max: 0.9999 },
  'strategy.serverLearningRate': RATE,
  'protection.clip': { min: 1e-6, max: 1e6, given: SECURE },
  'protection.bits': { min: 4, max: 24, integer: true, given: SECURE },
  'protection.stepSeconds': { min: 1, max: 86_400, given: SECURE },
  'schedule.seconds': { ...SECONDS, required: true, given: EVERY },
  rounds: { ...COUNT, nullable: true },
};

describe.each(Object.entries(BOUNDS))('%s', (path, { min, max, integer, nullable, required, given = SMALLEST }) => {
  const allowed = `${integer ? 'an integer' : 'a number'} from ${min} to ${max}${nullable ? ', or null' : ''}`;

  test('both bounds are taken', () => {
    for (const value of [min, max]) expect(valueAt(path, parseTask(withValue(path, value, given)))).toBe(value);
  });

  test('what lies outside, or is no number, is refused with key, value and what is allowed', () => {
    const below = integer ? min - 1 : min - Math.max(1e-10, min / 1e6);
    const above = integer ? max + 1 : max * 1.000_001;
    const wrong = [below, above, -1, NaN, Infinity, -Infinity, '7', true, ...(integer ? [min + 0.5] : [])];
    for (const value of wrong) {
      const shown = typeof value === 'string' ? `"${value}"` : String(value);
      expect(refusal(withValue(path, value, given))).toBe(`TASK_INVALID: ${path} is ${shown}; allowed is ${allowed}`);
    }
    expect(refusal(withValue(path, [min], given))).toContain(`${path} is a list; allowed is ${allowed}`);
    expect(refusal(withValue(path, { min }, given))).toContain(`${path} is an object; allowed is ${allowed}`);
  });

  test('null', () => {
    const document = withValue(path, null, given);
    if (nullable) expect(valueAt(path, parseTask(document))).toBeNull();
    else expect(refusal(document)).toContain(`${path} is null; allowed is ${allowed}`);
  });

  test('absent', () => {
    const document = without(path, withValue(path, max, given));
    if (required) expect(refusal(document)).toBe(`TASK_INVALID: ${path} is missing; allowed is ${allowed}`);
    else expect(() => parseTask(document)).not.toThrow();
  });
});

/** What else must be set for a choice to make sense. */
const GIVEN: Readonly<Record<string, Document>> = {
  every: EVERY,
  cron: withValue('schedule.pattern', '0 3 * * *'),
  'protection.mode': SECURE,
};

const CHOICES: Readonly<Record<string, readonly string[]>> = {
  'training.optimizer.kind': ['sgd'],
  'training.loss': [
    'categorical-crossentropy',
    'sparse-categorical-crossentropy',
    'binary-crossentropy',
    'mean-squared-error',
  ],
  'strategy.kind': ['fedavg'],
  'protection.kind': ['clear', 'secagg'],
  'protection.mode': ['auto', 'words', 'rlwe'],
  'schedule.kind': ['continuous', 'every', 'cron'],
};

describe.each(Object.entries(CHOICES))('%s', (path, choices) => {
  test('every choice is taken', () => {
    for (const choice of choices) {
      const document = withValue(path, choice, GIVEN[choice] ?? GIVEN[path]);
      expect(valueAt(path, parseTask(document))).toBe(choice);
    }
  });

  test('another is refused, naming all of them', () => {
    for (const value of ['', 'SGD', 'median', 1, null, ['clear'], 'constructor'])
      expect(refusal(withValue(path, value, GIVEN[path]))).toMatch(
        new RegExp(`${path} is .*; allowed is one of ${choices.join(', ')}`),
      );
  });
});

describe('names', () => {
  test.each(['name', 'model.name'])('%s', (path) => {
    for (const good of ['a', 'mnist-2', 'a'.repeat(63)])
      expect(valueAt(path, parseTask(withValue(path, good)))).toBe(good);
    for (const bad of ['A', '2a', 'a_b', 'a--b', '-a', 'a-', 'a b', 'a.1', 'a'.repeat(64), 'ä', 'a\n'])
      expect(refusal(withValue(path, bad))).toContain(`${path} is "${bad}": `);
    for (const bad of [null, 7, ['a'], '']) expect(refusal(withValue(path, bad))).toContain(`${path} is `);
    expect(refusal(without(path, SMALLEST))).toContain(`${path} is missing; allowed is a text`);
  });
});

describe('unknown keys', () => {
  const objects = ['', 'model', 'cohort', 'training', 'training.optimizer', 'strategy', 'protection', 'schedule'];
  test.each(objects)('in "%s" are refused by name, with the known ones', (path) => {
    const key = path === '' ? 'taget' : `${path}.taget`;
    expect(refusal(withValue(key, 1))).toMatch(new RegExp(`TASK_INVALID: ${key} is not a key here; known are [a-z]`));
  });

  test.each(['schedule.seconds', 'protection.clip', 'protection.bits', 'protection.mode', 'protection.stepSeconds'])(
    '%s, a key of another kind, is unknown',
    (path) => {
      expect(refusal(withValue(path, 8))).toContain(`${path} is not a key here; known are kind`);
    },
  );

  test('what JSON can smuggle in as a key', () => {
    const document: unknown = JSON.parse('{"name":"a","model":{"name":"m"},"cohort":{"target":1},"__proto__":{}}');
    expect(refusal(document)).toContain('__proto__ is not a key here');
  });

  test.each(objects)('"%s" must be an object', (path) => {
    for (const value of [null, 7, 'text', [], true]) {
      const message = refusal(path === '' ? value : withValue(path, value));
      expect(message).toContain(`${path || 'the document'} is `);
      expect(message).toContain('; allowed is an object with keys');
    }
  });
});

test('a quorum above the target is refused: no round could close', () => {
  expect(refusal(withValue('cohort.minimum', 5))).toContain('cohort.minimum is 5, above the target of 4');
});

test('the quorum is half the target, rounded up, unless it is given', () => {
  for (const [target, minimum] of [
    [1, 1],
    [2, 1],
    [3, 2],
    [10, 5],
  ])
    expect(parseTask(withValue('cohort.target', target)).cohort.minimum).toBe(minimum);
});

describe('laws', () => {
  test('every value is a task or a TASK_INVALID', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.jsonValue()), (value) => {
        refusal(value);
      }),
    );
  });

  test('so is every document with one value replaced by anything', () => {
    const paths = [...Object.keys(BOUNDS), ...Object.keys(CHOICES), 'name', 'model', 'cohort', 'training', 'schedule'];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.anything(), (path, value) => {
        try {
          parseTask(withValue(path, value));
        } catch (error) {
          expect(error).toMatchObject({ code: 'TASK_INVALID' });
          expect((error as Error).message).toContain(path.split('.')[0]);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('a task is a document of itself', () => {
    const numbers = Object.entries(BOUNDS).filter(([path]) => !/^(schedule|protection|cohort\.minimum)/.test(path));
    const changes = fc.array(
      fc
        .constantFrom(...numbers)
        .chain(([path, { min, max, integer }]) =>
          fc.tuple(fc.constant(path), integer ? fc.integer({ min, max }) : fc.double({ min, max, noNaN: true })),
        ),
    );
    fc.assert(
      fc.property(changes, (values) => {
        const task = parseTask(values.reduce((document, [path, value]) => withValue(path, value, document), SMALLEST));
        expect(parseTask(task)).toEqual(task);
        expect(parseTask(JSON.parse(JSON.stringify(task)))).toEqual(JSON.parse(JSON.stringify(task)));
      }),
    );
  });
});

describe('secure aggregation', () => {
  const secure = (cohort: Document, protection: Document = {}, training: Document = {}): Document => {
    return { ...SMALLEST, cohort, training, protection: { kind: 'secagg', ...protection } };
  };

  test('its defaults: three to hide among at least', () => {
    const task = parseTask(secure({ target: 4 }));
    expect(task.protection).toEqual({
      kind: 'secagg',
      clip: 1,
      bits: 16,
      mode: 'auto',
      stepSeconds: 60,
      privacy: null,
    });
    expect(parseTask(task)).toEqual(task);
  });

  test('the quorum is half the target, rounded up, and three at least', () => {
    for (const [target, minimum] of [
      [3, 3],
      [4, 3],
      [6, 3],
      [7, 4],
      [100, 50],
    ])
      expect(parseTask(secure({ target })).cohort.minimum).toBe(minimum);
    expect(parseTask(secure({ target: 100, minimum: 3 })).cohort.minimum).toBe(3);
    expect(parseTask(secure({ target: 100, minimum: 100 })).cohort.minimum).toBe(100);
  });

  test.each<[string, Document, string]>([
    ['one client', secure({ target: 1 }), 'cohort.minimum is 3, above the target of 1'],
    ['two clients', secure({ target: 2 }), 'cohort.minimum is 3, above the target of 2'],
    ['a quorum of two', secure({ target: 8, minimum: 2 }), 'cohort.minimum is 2, but secure aggregation needs 3'],
    ['a sum that overflows', secure({ target: 200, overSelection: 2 }, { bits: 24 }), 'protection.bits cannot be: '],
    ['a sum that fits no ring', secure({ target: 65 }, { bits: 24, mode: 'rlwe' }), 'protection.bits cannot be: '],
    ['such a sum in the mode of its cohort', secure({ target: 65 }, { bits: 24 }), 'protection.bits cannot be: '],
    ['a mode that is none', secure({ target: 4 }, { mode: 'xor' }), 'protection.mode is "xor"'],
  ])('refuses %s', (_name, document, why) => {
    expect(refusal(document)).toContain(why);
  });

  test.each<[string, Document]>([
    ['as many clients as 24 bits take in words', secure({ target: 256 }, { bits: 24, mode: 'words' })],
    ['as many clients as 24 bits take in a ring', secure({ target: 64 }, { bits: 24, mode: 'rlwe' })],
    ['as many clients as 16 bits take in a ring', secure({ target: 16_380 }, { bits: 16 })],
    ['the largest complete graph', secure({ target: 255 })],
    ['the smallest sparse graph', secure({ target: 256 })],
    ['the largest weight', secure({ target: 255 }, { bits: 4 }, { maxExamples: 4_294_967_295 })],
  ])('takes %s', (_name, document) => {
    expect(parseTask(document).protection).toMatchObject({ kind: 'secagg' });
  });

  test.each([
    ['secagg', {}],
    ['shares', { aggregator: 'cl_aaaaaaaaaaaaaaaaaaaaaaaaaa' }],
  ])('no cohort of %s is larger than messages can number', (kind, more) => {
    const wide = (cohort: Document): Document => secure(cohort, { kind, bits: 8, ...more });
    expect(parseTask(wide({ target: 65_535 })).protection.kind).toBe(kind);
    for (const cohort of [{ target: 65_536 }, { target: 70_000 }, { target: 33_000, overSelection: 2 }])
      expect(refusal(wide(cohort))).toMatch(/cohort\.target cannot be: .* at most 65535 can be numbered/);
  });

  test('it is judged by the cohort that is selected, not by the target', () => {
    const bits = { bits: 24, mode: 'words' };
    expect(parseTask(secure({ target: 128, overSelection: 2 }, bits)).cohort.target).toBe(128);
    expect(refusal(secure({ target: 128, overSelection: 2.01 }, bits))).toContain('a sum of 258 values of 24 bits');
  });

  test('every combination within the ranges is a task or a refusal that names one of three keys', () => {
    const combination = fc.record({
      target: fc.integer({ min: 1, max: 260 }),
      overSelection: fc.double({ min: 1, max: 1.5, noNaN: true }),
      bits: fc.integer({ min: 4, max: 24 }),
      mode: fc.constantFrom('auto', 'words', 'rlwe'),
    });
    fc.assert(
      fc.property(combination, ({ target, overSelection, ...protection }) => {
        const document = secure({ target, overSelection }, protection);
        try {
          const task = parseTask(document);
          expect(parseTask(JSON.parse(JSON.stringify(task)))).toEqual(task);
        } catch (error) {
          expect(error).toMatchObject({ code: 'TASK_INVALID' });
          expect((error as Error).message).toMatch(/^TASK_INVALID: (cohort\.(minimum|target)|protection\.bits) /);
        }
      }),
    );
  });
});

/** What holds of every life of a participant, with crashes between any two effects; mutants check that the laws object. */
import { newUpdateId, parseDigest, parseRoundId } from '@carapace/aggregation';
import type { RoundId } from '@carapace/aggregation';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { resume, stepParticipant } from '../src/participant.ts';
import type { ParticipantEffect, ParticipantEvent, ParticipantStep, PendingUpdate } from '../src/participant.ts';
import { ASSIGNMENT } from './fixtures.ts';

type Machine = typeof stepParticipant;

/** What the world answers to one effect, and whether the process dies right after it. */
interface Turn {
  readonly answer: 'good' | 'bad' | 'odd';
  readonly crash: boolean;
}

const turns = fc.array(
  fc.record({
    answer: fc.constantFrom('good' as const, 'good' as const, 'bad' as const, 'odd' as const),
    crash: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
);

interface Life {
  readonly performed: readonly ParticipantEffect[];
  /** What was performed while an update was in the journal. */
  readonly meanwhile: readonly ParticipantEffect[];
  readonly trained: readonly PendingUpdate[];
  readonly recorded: readonly PendingUpdate[];
  readonly pending: PendingUpdate | null;
  /** Rounds whose sums this client helped to unmask, and the one that still waits for it. */
  readonly unmasked: readonly RoundId[];
  readonly unfinished: RoundId | null;
}

/** The shell in small: performs effects in their order, keeps the journal over crashes. */
function live(machine: Machine, script: readonly Turn[]): Life {
  const random = seededRandom('participant');
  const performed: ParticipantEffect[] = [];
  const meanwhile: ParticipantEffect[] = [];
  const trained: PendingUpdate[] = [];
  const recorded: PendingUpdate[] = [];
  const unmasked: RoundId[] = [];
  let journal: PendingUpdate | null = null;
  let unfinished: RoundId | null = null;
  let rounds = 0;
  const answerTo = (effect: ParticipantEffect, { answer }: Turn): ParticipantEvent => {
    // A record that fails is a crash: the shell has no other way on.
    if (answer === 'odd' && !effect.kind.startsWith('record')) return { kind: 'nothing' };
    switch (effect.kind) {
      case 'check-in':
        rounds += 1;
        return answer === 'bad'
          ? { kind: 'nothing' }
          : { kind: 'assigned', assignment: { ...ASSIGNMENT, round: parseRoundId(`mnist.${rounds}`).id } };
      case 'train': {
        if (answer === 'bad') return { kind: 'unable', reason: 'no data' };
        const update = {
          id: newUpdateId(random),
          round: effect.assignment.round,
          digest: parseDigest('00'.repeat(32)),
          bytes: 1,
          masked: rounds % 2 === 0,
        };
        expect([journal, unfinished]).toEqual([null, null]);
        journal = update;
        if (update.masked) unfinished = update.round;
        trained.push(update);
        return { kind: 'trained', update };
      }
      case 'upload':
        return answer === 'bad'
          ? { kind: 'refused', code: 'UPDATE_STALE' }
          : { kind: 'admitted', receipt: { payload: '', signature: '', key: '' } };
      case 'record-admitted':
      case 'record-refused':
        journal = null;
        recorded.push(effect.update);
        if (effect.kind === 'record-refused') unfinished = null;
        return { kind: 'nothing' };
      case 'unmask':
        if (answer === 'bad') return { kind: 'nothing' };
        unmasked.push(effect.round);
        unfinished = null;
        return { kind: 'unmasked' };
      case 'decline':
        return { kind: 'nothing' };
    }
  };
  const life = (): Life => ({ performed, meanwhile, trained, recorded, pending: journal, unmasked, unfinished });
  let current: ParticipantStep = resume(null, null);
  let at = 0;
  while (at < script.length) {
    let event: ParticipantEvent = { kind: 'nothing' };
    let crashed = false;
    for (const effect of current.effects) {
      const turn = script[at++];
      if (turn === undefined) return life();
      performed.push(effect);
      if (journal !== null) meanwhile.push(effect);
      event = answerTo(effect, turn);
      crashed = turn.crash;
      if (crashed) break;
    }
    current = crashed ? resume(journal, unfinished) : machine(current.state, event);
  }
  return life();
}

const law = (check: (life: Life) => void) => (machine: Machine) =>
  fc.property(turns, (script) => check(live(machine, script)));

const LAWS: Readonly<Record<string, (machine: Machine) => fc.IPropertyWithHooks<[Turn[]]>>> = {
  'every update that was trained is recorded once, or is still in the journal': law(
    ({ trained, recorded, pending }) => {
      const known = [...recorded, ...(pending === null ? [] : [pending])].map(({ id }) => id);
      expect(known).toEqual(trained.map(({ id }) => id));
    },
  ),
  'while an update is in the journal nothing is asked for and nothing is trained': law(({ meanwhile }) => {
    for (const { kind } of meanwhile) expect(['upload', 'record-admitted', 'record-refused']).toContain(kind);
  }),
  'a masked update is unmasked exactly once, after it was recorded and before anything else is trained': law(
    ({ performed, unmasked, recorded, unfinished }) => {
      expect(new Set(unmasked).size).toBe(unmasked.length);
      const admitted = performed.flatMap((effect) => (effect.kind === 'record-admitted' ? [effect.update] : []));
      const owed = admitted.filter(({ masked }) => masked).map(({ round }) => round);
      const waiting = owed.filter((round) => round === unfinished);
      expect([...unmasked, ...waiting]).toEqual(owed);
      for (const round of unmasked) expect(recorded.some((update) => update.round === round)).toBe(true);
    },
  ),
  'an update is recorded only after it was uploaded': law(({ performed }) => {
    performed.forEach((effect, index) => {
      if (effect.kind === 'record-admitted' || effect.kind === 'record-refused')
        expect(performed[index - 1]).toEqual({ kind: 'upload', update: effect.update });
    });
  }),
  'only what was assigned is trained or declined': law(({ performed }) => {
    performed.forEach((effect, index) => {
      if (effect.kind === 'train') expect(['check-in', 'train']).toContain(performed[index - 1]?.kind);
      if (effect.kind === 'decline') expect(performed[index - 1]?.kind).toBe('train');
    });
  }),
};
const entries = Object.entries(LAWS);

test.each(entries)('%s', (_name, of) => {
  fc.assert(of(stepParticipant), { numRuns: 1_000 });
});

test('a step always goes on, and what goes on comes last', () => {
  const effects = [resume(null, null), stepParticipant({ kind: 'idle' }, { kind: 'nothing' })].map(
    (step) => step.effects,
  );
  for (const list of effects) expect(['check-in', 'train', 'upload']).toContain(list.at(-1)?.kind);
});

describe('the checker: some law refutes a participant that', () => {
  const changed =
    (change: (...args: [...Parameters<Machine>, ParticipantStep]) => ParticipantStep | null): Machine =>
    (state, event) => {
      const right = stepParticipant(state, event);
      return change(state, event, right) ?? right;
    };
  const mutants: Readonly<Record<string, Machine>> = {
    'forgets an update at the first odd answer': changed((state, event) =>
      state.kind === 'uploading' && event.kind === 'nothing' ? resume(null, null) : null,
    ),
    'does not record what was admitted': changed((_state, event) =>
      event.kind === 'admitted' ? resume(null, null) : null,
    ),
    'records twice': changed((_state, _event, { state, effects }) => {
      return {
        state,
        effects: effects.flatMap<ParticipantEffect>((it) => (it.kind === 'record-refused' ? [it, it] : it)),
      };
    }),
    'asks for work before it uploads': changed((_state, event, { state, effects }) =>
      event.kind === 'trained' ? { state, effects: [{ kind: 'check-in' }, ...effects] } : null,
    ),
    'forgets to unmask': changed((state, event) =>
      state.kind === 'uploading' && state.update.masked && event.kind === 'admitted'
        ? {
            state: { kind: 'idle' },
            effects: [{ kind: 'record-admitted', update: state.update, receipt: event.receipt }, { kind: 'check-in' }],
          }
        : null,
    ),
    'unmasks twice': changed((state, event) =>
      state.kind === 'unmasking' && event.kind === 'unmasked' ? stepParticipant(state, { kind: 'nothing' }) : null,
    ),
    'declines what it was not given': changed((state, event) =>
      state.kind === 'idle' && event.kind === 'nothing'
        ? { state, effects: [{ kind: 'decline', round: ASSIGNMENT.round, reason: '' }, { kind: 'check-in' }] }
        : null,
    ),
  };
  test.each(Object.entries(mutants))('%s', (_name, mutant) => {
    expect(entries.some(([, of]) => fc.check(of(mutant), { numRuns: 1_000, seed: 7, endOnFailure: true }).failed)).toBe(
      true,
    );
  });
});

/** The whole table of the participant: each state with each event. A new one does not compile until its cells are filled. */
import { parseRoundId } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';
import { resume, stepParticipant } from '../src/participant.ts';
import type { Participation, ParticipantEffect, ParticipantEvent, ParticipantStep } from '../src/participant.ts';
import { ASSIGNMENT, UPDATE } from './fixtures.ts';

const RECEIPT = { payload: '{}', signature: '', key: '' };
const ANOTHER = { ...ASSIGNMENT, round: parseRoundId('mnist.4').id };

const STATES: { readonly [Kind in Participation['kind']]: Extract<Participation, { kind: Kind }> } = {
  idle: { kind: 'idle' },
  training: { kind: 'training', assignment: ASSIGNMENT },
  uploading: { kind: 'uploading', update: UPDATE },
  unmasking: { kind: 'unmasking', round: UPDATE.round },
};

const EVENTS: { readonly [Kind in ParticipantEvent['kind']]: Extract<ParticipantEvent, { kind: Kind }> } = {
  assigned: { kind: 'assigned', assignment: ANOTHER },
  nothing: { kind: 'nothing' },
  trained: { kind: 'trained', update: UPDATE },
  unable: { kind: 'unable', reason: 'the battery is low' },
  admitted: { kind: 'admitted', receipt: RECEIPT },
  refused: { kind: 'refused', code: 'UPDATE_STALE' },
  unmasked: { kind: 'unmasked' },
};

const to = (state: Participation, ...effects: readonly ParticipantEffect[]): ParticipantStep => ({ state, effects });
const waits = to(STATES.idle, { kind: 'check-in' });
const trains = to(STATES.training, { kind: 'train', assignment: ASSIGNMENT });
const unmasks = to(STATES.unmasking, { kind: 'unmask', round: UPDATE.round });
const uploads = to(STATES.uploading, { kind: 'upload', update: UPDATE });

const TABLE: Readonly<Record<Participation['kind'], Readonly<Record<ParticipantEvent['kind'], ParticipantStep>>>> = {
  idle: {
    assigned: to({ kind: 'training', assignment: ANOTHER }, { kind: 'train', assignment: ANOTHER }),
    nothing: waits,
    trained: waits,
    unable: waits,
    admitted: waits,
    refused: waits,
    unmasked: waits,
  },
  training: {
    assigned: trains,
    nothing: trains,
    trained: uploads,
    unable: to(
      STATES.idle,
      { kind: 'decline', round: ASSIGNMENT.round, reason: 'the battery is low' },
      { kind: 'check-in' },
    ),
    admitted: trains,
    refused: waits,
    unmasked: trains,
  },
  uploading: {
    assigned: uploads,
    nothing: uploads,
    trained: uploads,
    unable: uploads,
    admitted: to(STATES.idle, { kind: 'record-admitted', update: UPDATE, receipt: RECEIPT }, { kind: 'check-in' }),
    refused: to(STATES.idle, { kind: 'record-refused', update: UPDATE, code: 'UPDATE_STALE' }, { kind: 'check-in' }),
    unmasked: uploads,
  },
  unmasking: {
    assigned: unmasks,
    nothing: unmasks,
    trained: unmasks,
    unable: unmasks,
    admitted: unmasks,
    refused: unmasks,
    unmasked: waits,
  },
};

const KINDS = Object.keys(TABLE) as Participation['kind'][];

describe.each(KINDS)('%s', (state) => {
  test.each(Object.keys(EVENTS) as ParticipantEvent['kind'][])('%s', (event) => {
    expect(stepParticipant(STATES[state], EVENTS[event])).toEqual(TABLE[state][event]);
  });
});

test('a masked update that was admitted is unmasked before anything else is asked for', () => {
  const update = { ...UPDATE, masked: true };
  expect(stepParticipant({ kind: 'uploading', update }, EVENTS.admitted)).toEqual(
    to(
      STATES.unmasking,
      { kind: 'record-admitted', update, receipt: RECEIPT },
      { kind: 'unmask', round: UPDATE.round },
    ),
  );
  expect(stepParticipant({ kind: 'uploading', update }, EVENTS.refused).state).toEqual(STATES.idle);
});

test('after a start: what is journalled is uploaded, a sum under way is unmasked, otherwise work is asked for', () => {
  expect(resume(null, null)).toEqual(waits);
  expect(resume(UPDATE, null)).toEqual(uploads);
  expect(resume(UPDATE, UPDATE.round)).toEqual(uploads);
  expect(resume(null, UPDATE.round)).toEqual(unmasks);
});

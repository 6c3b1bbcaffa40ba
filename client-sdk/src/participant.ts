/**
 * The life of a participant as a value: what it is in the middle of, and what it should do next. No clock, no network, no disk:
 * the shell (`client.ts`) performs the effects in their order and reports one event. An update that was journalled is uploaded
 * again after any crash and never trained twice.
 */
import type { Assignment, Digest, RoundId, SignedDocument, UpdateId } from '@carapace/aggregation';

/** An update on disk: its bytes are journalled beside this description before the first of them is sent. */
export interface PendingUpdate {
  readonly id: UpdateId;
  readonly round: RoundId;
  readonly digest: Digest;
  readonly bytes: number;
  /** Under masks that its cohort must take off the sum: after the upload this client is still needed. */
  readonly masked: boolean;
}

export type Participation =
  | { readonly kind: 'idle' }
  | { readonly kind: 'training'; readonly assignment: Assignment }
  | { readonly kind: 'uploading'; readonly update: PendingUpdate }
  | { readonly kind: 'unmasking'; readonly round: RoundId };

export type ParticipantEvent =
  | { readonly kind: 'assigned'; readonly assignment: Assignment }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'trained'; readonly update: PendingUpdate }
  | { readonly kind: 'unable'; readonly reason: string }
  | { readonly kind: 'admitted'; readonly receipt: SignedDocument }
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'unmasked' };

export type ParticipantEffect =
  | { readonly kind: 'check-in' }
  | { readonly kind: 'train'; readonly assignment: Assignment }
  | { readonly kind: 'decline'; readonly round: RoundId; readonly reason: string }
  | { readonly kind: 'upload'; readonly update: PendingUpdate }
  | { readonly kind: 'record-admitted'; readonly update: PendingUpdate; readonly receipt: SignedDocument }
  | { readonly kind: 'unmask'; readonly round: RoundId }
  | { readonly kind: 'record-refused'; readonly update: PendingUpdate; readonly code: string };

export interface ParticipantStep {
  readonly state: Participation;
  readonly effects: readonly ParticipantEffect[];
}

/** After a start: goes on with the update in the journal, or with the sum that is still to be unmasked. */
export function resume(journalled: PendingUpdate | null, unfinished: RoundId | null): ParticipantStep {
  if (journalled !== null) return uploading(journalled);
  return unfinished === null ? idle() : unmasking(unfinished);
}

export function stepParticipant(state: Participation, event: ParticipantEvent): ParticipantStep {
  switch (state.kind) {
    case 'idle':
      return event.kind === 'assigned' ? training(event.assignment) : idle();
    case 'training':
      return stepTraining(state.assignment, event);
    case 'uploading':
      return stepUploading(state.update, event);
    case 'unmasking':
      return event.kind === 'unmasked' ? idle() : unmasking(state.round);
  }
}

function stepTraining(assignment: Assignment, event: ParticipantEvent): ParticipantStep {
  switch (event.kind) {
    case 'trained':
      return uploading(event.update);
    case 'unable':
      return idle({ kind: 'decline', round: assignment.round, reason: event.reason });
    case 'refused':
      return idle();
    case 'assigned':
    case 'nothing':
    case 'admitted':
    case 'unmasked':
      return training(assignment);
  }
}

function stepUploading(update: PendingUpdate, event: ParticipantEvent): ParticipantStep {
  switch (event.kind) {
    case 'admitted': {
      const record: ParticipantEffect = { kind: 'record-admitted', update, receipt: event.receipt };
      return update.masked ? unmasking(update.round, record) : idle(record);
    }
    case 'refused':
      return idle({ kind: 'record-refused', update, code: event.code });
    case 'assigned':
    case 'nothing':
    case 'trained':
    case 'unable':
    case 'unmasked':
      return uploading(update);
  }
}

function idle(...first: readonly ParticipantEffect[]): ParticipantStep {
  return { state: { kind: 'idle' }, effects: [...first, { kind: 'check-in' }] };
}

function training(assignment: Assignment): ParticipantStep {
  return { state: { kind: 'training', assignment }, effects: [{ kind: 'train', assignment }] };
}

function uploading(update: PendingUpdate): ParticipantStep {
  return { state: { kind: 'uploading', update }, effects: [{ kind: 'upload', update }] };
}

function unmasking(round: RoundId, ...first: readonly ParticipantEffect[]): ParticipantStep {
  return { state: { kind: 'unmasking', round }, effects: [...first, { kind: 'unmask', round }] };
}

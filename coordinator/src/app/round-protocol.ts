/** What a round asks of the protocol around its updates; one implementation for each of them. */
import type { RoundId, SecaggRefusal } from '@carapace/aggregation';
import type { MessageStep, ProtocolStep, RoundEvent } from '../domain/round.ts';
import { CoordinatorError } from '../errors.ts';
import type { ClientRecord, OpenOrder, Records, RoundRecord, SessionRecord } from '../ports.ts';

export interface RoundProtocol {
  /** The event that the round machine asks for: where the protocol stands, its step closed when its time is over. */
  observe(records: Records, round: RoundRecord, now: number): Promise<RoundEvent>;
  /**
   * A message of one party, judged and durable when this resolves.
   * @throws CoordinatorError `PROTOCOL_REFUSED`, `PROTOCOL_STEP`
   */
  receive(round: RoundRecord, client: ClientRecord, step: MessageStep, message: Uint8Array): Promise<void>;
  /** What the client should read in this step of the round, or null when the round is not yet in it. @throws CoordinatorError `ROUND_OVER` */
  messageFor(round: RoundRecord, client: ClientRecord, step: ProtocolStep): Promise<Uint8Array | null>;
  /** How long a protected input is, and how one would be taken now. */
  judgeInput(round: RoundRecord, client: ClientRecord): Promise<InputJudge>;
  /** What to add up, and what uncovers the sum; asked again after a garbled sum. Null: there is nothing (more) to try. */
  openOrder(round: RoundRecord, garbled: boolean): Promise<OpenOrder | null>;
  forget(id: RoundId): void;
  /** Other processes may have ended rounds that this one still remembers. */
  rememberOnly(running: ReadonlySet<RoundId>): void;
}

export interface InputJudge {
  readonly bytes: number;
  readonly judge: (message: Uint8Array) => JudgedInput;
}

export type JudgedInput =
  | { readonly kind: 'admitted'; readonly deposit: Uint8Array | null }
  | { readonly kind: 'refused'; readonly code: SecaggRefusal };

/** The step that the round's record is in. */
export function stepIn({ state }: RoundRecord): ProtocolStep | null {
  switch (state.kind) {
    case 'agreeing':
    case 'unmasking':
      return state.step;
    case 'collecting':
      return 'masked-input';
    case 'aggregating':
      return 'opening';
    default:
      return null;
  }
}

export async function requireSession(records: Records, id: RoundId): Promise<SessionRecord> {
  const session = await records.findSession(id);
  if (session === null) throw new CoordinatorError('ROUND_OVER', `${id} has no session of secure aggregation`);
  return session;
}

export function protocolRefused(code: SecaggRefusal, why: string): CoordinatorError {
  return new CoordinatorError('PROTOCOL_REFUSED', `${code}: ${why}`, { members: { refusal: code } });
}

export function notNow({ id, state }: RoundRecord, step: MessageStep): CoordinatorError {
  return new CoordinatorError('PROTOCOL_STEP', `${id} is ${state.kind}, not in the step ${step}`);
}

export function roundOver({ id, state }: RoundRecord): CoordinatorError {
  return new CoordinatorError('ROUND_OVER', `${id} is ${state.kind}, and goes on without this client`);
}

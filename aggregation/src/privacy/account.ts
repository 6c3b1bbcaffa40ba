/**
 * What a ledger keeps of a budget: the events so far, added up. A value; answers are functions of it alone, so that replaying the same events
 * in any order, at once or one by one, gives the same bits. What was computed for one round is remembered for the next.
 */
import { AggregationError } from '../errors.ts';
import { DocumentReader } from '../document.ts';
import { canonicalCharges, gatherCharges } from './events/canonical.ts';
import { RELATIONS } from './events/event.ts';
import type { Charge, PrivacyEvent, Relation } from './events/event.ts';
import { checkCharge, parseCharges } from './events/parse-charges.ts';
import { PRIVACY_ENGINE_VERSION, privacyDelta, privacyEpsilon } from './query.ts';
import type { PrivacyAnswer, QueryOptions } from './query.ts';

type AskOptions = Omit<QueryOptions, 'relation'>;

export class PrivacyAccount {
  readonly relation: Relation;
  /** Equal events together, in canonical order. */
  readonly charges: readonly Charge[];

  /** One relation for good: budgets of two cannot be added. @throws AggregationError `PRIVACY_EVENT_INVALID` */
  constructor(relation: Relation, charges: readonly Charge[] = []) {
    charges.forEach(checkCharge);
    this.relation = relation;
    this.charges = gatherCharges(charges);
  }

  /** The account after the event as well; this one stays as it is. @throws AggregationError `PRIVACY_EVENT_INVALID` */
  charge(event: PrivacyEvent, count = 1): PrivacyAccount {
    return new PrivacyAccount(this.relation, [...this.charges, { event, count }]);
  }

  /** @throws AggregationError as {@link privacyEpsilon} */
  epsilon(delta: number, options: AskOptions = {}): PrivacyAnswer {
    return privacyEpsilon(this.charges, delta, { ...options, relation: this.relation });
  }

  /** @throws AggregationError as {@link privacyDelta} */
  delta(epsilon: number, options: AskOptions = {}): PrivacyAnswer {
    return privacyDelta(this.charges, epsilon, { ...options, relation: this.relation });
  }

  /** Canonical JSON: equal accounts give equal texts. */
  toText(): string {
    return `{"charges":${canonicalCharges(this.charges)},"engineVersion":${PRIVACY_ENGINE_VERSION},"relation":"${this.relation}"}`;
  }

  /** @throws AggregationError `PRIVACY_EVENT_INVALID`, also for another engine version, whose answers may differ */
  static fromText(text: string): PrivacyAccount {
    const refuse = (message: string, options?: ErrorOptions): AggregationError =>
      new AggregationError('PRIVACY_EVENT_INVALID', message, options);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw refuse('the account is not JSON', { cause });
    }
    const reader = new DocumentReader(value, 'account', refuse);
    const version = PRIVACY_ENGINE_VERSION;
    reader.number('engineVersion', { min: version, max: version, integer: true });
    const account = new PrivacyAccount(reader.choice('relation', RELATIONS), parseCharges(reader.list('charges')));
    reader.end();
    return account;
  }
}

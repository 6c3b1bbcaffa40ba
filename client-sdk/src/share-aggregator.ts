/**
 * `ShareAggregator`: the second aggregator of shares mode, run by somebody who does not run the coordinator. It gives a key to each
 * round that keeps its floor and, once, the sum of the shares that were sealed for that key. It calls the coordinator and listens
 * to nobody, so it works behind any firewall.
 */
import { setImmediate as rest, setTimeout as sleep } from 'node:timers/promises';
import {
  AggregationError,
  decodeAggregatorState,
  encodeAggregatorState,
  encodeSharesSession,
  forgetSecret,
  openAggregator,
  sumShares,
  takeRequest,
} from '@carapace/aggregation';
import type { AggregatorState, Invitation, RoundId, SharesFloor } from '@carapace/aggregation';
import { equalBytes, systemRandom, toBase64url } from '@carapace/crypto';
import type { PublicKey, RandomSource } from '@carapace/crypto';
import type { AggregatorWork, Calls } from './coordinator-calls.ts';
import { ClientError } from './errors.ts';
import type { AggregatorEvent } from './events.ts';
import { floorWithSerial, noteRoster, rosterKeysOf } from './hiding.ts';
import { callsOf, fatal, join, retried } from './joining.ts';
import type { JoiningOptions } from './joining.ts';
import { DEFAULT_POLICY } from './policy.ts';
import { StateDirectory } from './state/state-directory.ts';
import type { Membership } from './state/state-directory.ts';
import { ProblemError } from './transport/problem-error.ts';

export interface ShareAggregatorOptions {
  /** Key, membership and the secrets of running rounds: one directory for one aggregator, kept between runs. */
  readonly stateDirectory: string;
  /** Needed on the first run; later the membership in the state directory is used. */
  readonly joinLink?: string;
  /** Key of the enrolment authority that signs rosters; pinned for good by the first run that names it. */
  readonly authority?: PublicKey;
  /** For operators' lists. */
  readonly name?: string;
  /** What a round must grant its clients at least, whatever the coordinator proposes. */
  readonly floor?: SharesFloor;
  readonly onEvent?: (event: AggregatorEvent) => void;
  readonly waitSeconds?: number;
  /** Gives up when the coordinator does not answer for this long; null (the default) never does. */
  readonly unreachableMs?: number | null;
  readonly random?: RandomSource;
}

/** A round that was refused is offered again as long as it runs. */
const REFUSED_MS = 1_000;
/** How long after its deadline a round that never asked for its sum is remembered: clocks differ. */
const KEPT_MS = 24 * 3_600_000;

type Options = JoiningOptions &
  Required<Pick<ShareAggregatorOptions, 'stateDirectory' | 'floor' | 'waitSeconds'>> & {
    readonly onEvent: (event: AggregatorEvent) => void;
  };

export class ShareAggregator {
  readonly #options: Options;

  constructor(options: ShareAggregatorOptions) {
    const defaults = {
      name: 'aggregator',
      floor: DEFAULT_POLICY.secagg,
      onEvent: () => undefined,
      waitSeconds: 25,
      unreachableMs: null,
      random: systemRandom,
    };
    this.#options = { ...defaults, ...options };
  }

  /**
   * Runs until the signal fires, then resolves.
   * @throws ClientError `CLIENT_REVOKED`, `ENROLMENT_REFUSED`, `COORDINATOR_UNTRUSTED`, `STATE_LOCKED`, … : what no retry mends
   */
  async run(signal: AbortSignal = new AbortController().signal): Promise<void> {
    const state = await StateDirectory.open(this.#options.stateDirectory, this.#options.random);
    try {
      const membership = await join(this.#options, state, signal);
      this.#options.onEvent({ kind: 'ready', client: membership.client, key: toBase64url(state.key.publicKey) });
      await new Service(this.#options, state, membership, signal).run();
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      state.close();
      this.#options.onEvent({ kind: 'stopped' });
    }
  }
}

/** One run of one aggregator. */
class Service {
  readonly #options: Options;
  readonly #state: StateDirectory;
  readonly #membership: Membership;
  readonly #signal: AbortSignal;
  readonly #calls: Calls;
  /** Rounds that were declined: the coordinator knows, and offers them still. */
  readonly #declined = new Set<RoundId>();

  constructor(options: Options, state: StateDirectory, membership: Membership, signal: AbortSignal) {
    this.#options = options;
    this.#state = state;
    this.#membership = membership;
    this.#signal = signal;
    this.#calls = callsOf(options, state, membership.coordinator, signal);
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      const work = await this.#call(() => this.#calls.aggregatorWork(this.#options.waitSeconds));
      if ('idleMs' in work) await this.#sleep(work.idleMs);
      else await this.#serve(work);
    }
  }

  async #serve(work: AggregatorWork): Promise<void> {
    const { round } = work;
    try {
      await (work.kind === 'key' ? this.#giveKey(round, work.invitation) : this.#tellSum(round, work.request));
    } catch (error) {
      if (error instanceof ClientError && error.code === 'PROTECTION_REFUSED')
        await this.#decline(round, error.message);
      else if (error instanceof ProblemError) this.#options.onEvent({ kind: 'left-out', round, reason: error.message });
      else throw error;
      await this.#sleep(REFUSED_MS);
    }
  }

  /** The key is on disk before it is sent: a deposit that was sealed for it can be opened after any crash. */
  async #giveKey(round: RoundId, invitation: Invitation): Promise<void> {
    const kept = await this.#kept(round);
    if (kept !== null && !equalBytes(encodeSharesSession(kept.session), invitation.session))
      throw refused('SECAGG_DUPLICATE', 'another session of this round had a key before');
    const keyed = kept ?? (await this.#open(round, invitation));
    await this.#call(() => this.#calls.sendProtocolMessage(round, 'advertise-keys', keyed.outbox));
  }

  async #open(round: RoundId, invitation: Invitation): Promise<AggregatorState> {
    const { floor, random, onEvent } = this.#options;
    await this.#sweep();
    const standing = {
      client: this.#membership.client,
      identity: this.#state.key,
      rosterKeys: rosterKeysOf(this.#membership),
      floor: await floorWithSerial({ ...DEFAULT_POLICY.secagg, ...floor }, this.#state),
    };
    const opened = openAggregator(invitation, standing, random);
    if (opened.kind === 'refused') throw refused(opened.code, opened.why);
    const { session } = opened.state;
    if (session.round !== round) throw refused('SECAGG_CONTEXT', 'the session is of another round');
    await noteRoster(this.#state, this.#membership, invitation.roster);
    await this.#state.keepAggregation(round, encodeAggregatorState(opened.state));
    const { cohort, minimumSurvivors } = session;
    onEvent({ kind: 'keyed', round, cohort: cohort.length, minimumSurvivors, trust: opened.trust });
    return opened.state;
  }

  /** Which request is answered is on disk before the answer is sent; once the coordinator has it, the round's secret is destroyed. */
  async #tellSum(round: RoundId, request: Uint8Array): Promise<void> {
    const kept = await this.#kept(round);
    if (kept === null) throw refused('SECAGG_ORDER', 'this aggregator gave no key for the round, or has lost it');
    const taken = takeRequest(kept, request);
    if (taken.kind === 'refused') throw refused(taken.code, taken.why);
    await this.#state.keepAggregation(round, encodeAggregatorState(taken.state));
    const started = performance.now();
    const message = await inTurns(sumShares(taken.state.session, taken.seeds), this.#signal);
    await this.#call(() => this.#calls.uploadSum(round, message));
    await this.#state.keepAggregation(round, encodeAggregatorState(forgetSecret(taken.state)));
    this.#options.onEvent({
      kind: 'summed',
      round,
      members: taken.seeds.size,
      asked: taken.asked,
      seconds: (performance.now() - started) / 1000,
    });
  }

  async #decline(round: RoundId, reason: string): Promise<void> {
    if (this.#declined.has(round)) return;
    this.#declined.add(round);
    this.#options.onEvent({ kind: 'declined', round, reason });
    await this.#call(() => this.#calls.declineAggregation(round, reason));
  }

  async #sweep(): Promise<void> {
    const now = Date.now();
    await this.#state.dropAggregations((kept) => decoded(kept).session.deadline + KEPT_MS < now);
  }

  async #kept(round: RoundId): Promise<AggregatorState | null> {
    const kept = await this.#state.aggregation(round);
    return kept && decoded(kept);
  }

  #sleep(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#signal });
  }

  /** With retries; what no retry mends ends the service. */
  async #call<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await retried(this.#options, this.#signal, attempt);
    } catch (error) {
      throw fatal(error);
    }
  }
}

/** Share after share, with the calls that wait in between. */
async function inTurns<T>(work: Generator<undefined, T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    await rest(undefined, { signal });
  }
}

/** @throws ClientError `STATE_CORRUPT` */
function decoded(kept: Uint8Array): AggregatorState {
  try {
    return decodeAggregatorState(kept);
  } catch (cause) {
    if (!(cause instanceof AggregationError)) throw cause;
    throw new ClientError('STATE_CORRUPT', `a file in aggregations/ does not parse: ${cause.message}`, { cause });
  }
}

function refused(code: string, why: string): ClientError {
  return new ClientError('PROTECTION_REFUSED', `${code}: ${why}`);
}

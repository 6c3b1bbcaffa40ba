/**
 * `ShareAggregator`: the second aggregator of shares mode, run by somebody who does not run the coordinator. It gives a key to each
 * round that keeps its floor and, once, the sum of the shares that were sealed for that key. It calls the coordinator and listens
 * to nobody, so it works behind any firewall.
 */
import { setImmediate as rest, setTimeout as sleep } from 'node:timers/promises';
import {
  AGGREGATION_KEPT_MS,
  AggregationError,
  deadlineOfKept,
  decodeAggregation,
  DEFAULT_AGGREGATOR_FLOOR,
  encodeAggregation,
  encodeSharesSession,
  forgetSecret,
  openAggregator,
  sumShares,
  takeRequest,
} from '@carapace/aggregation';
import type {
  AggregatorFloor,
  AggregatorState,
  Invitation,
  KeptAggregation,
  RoundId,
  SecaggRefusal,
} from '@carapace/aggregation';
import { equalBytes, systemRandom, toBase64url } from '@carapace/crypto';
import type { PublicKey, RandomSource } from '@carapace/crypto';
import type { AggregatorWork, Calls } from './coordinator-calls.ts';
import type { AggregatorEvent } from './events.ts';
import { floorOf, noteRoster, rosterKeysOf } from './hiding.ts';
import { callsOf, fatal, join, retried } from './joining.ts';
import type { JoiningOptions } from './joining.ts';
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
  readonly floor?: Partial<AggregatorFloor>;
  readonly onEvent?: (event: AggregatorEvent) => void;
  readonly waitSeconds?: number;
  /** Gives up when the coordinator does not answer for this long; null (the default) never does. */
  readonly unreachableMs?: number | null;
  readonly random?: RandomSource;
}

/** Should a refused round be offered again, it is not asked for without pause. */
const REFUSED_MS = 1_000;
const SWEEP_MS = 3_600_000;
/** Answers after which no answer of this aggregator to a round is taken any more. */
const OVER = new Set(['PROTOCOL_STEP', 'ROUND_OVER', 'ROUND_NOT_FOUND']);

type Options = JoiningOptions &
  Required<Pick<ShareAggregatorOptions, 'stateDirectory' | 'floor' | 'waitSeconds'>> & {
    readonly onEvent: (event: AggregatorEvent) => void;
  };

export class ShareAggregator {
  readonly #options: Options;

  constructor(options: ShareAggregatorOptions) {
    const defaults = {
      name: 'aggregator',
      floor: {},
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
  /** Rounds whose decline was told to whoever runs this. */
  readonly #declined = new Set<RoundId>();

  constructor(options: Options, state: StateDirectory, membership: Membership, signal: AbortSignal) {
    this.#options = options;
    this.#state = state;
    this.#membership = membership;
    this.#signal = signal;
    this.#calls = callsOf(options, state, membership.coordinator, signal);
  }

  async run(): Promise<void> {
    await this.#state.dropAggregationDrafts();
    await this.#sweep();
    const ended = new AbortController();
    const sweeping = this.#keepSwept(AbortSignal.any([this.#signal, ended.signal]));
    try {
      while (!this.#signal.aborted) {
        const work = await this.#call(() => this.#calls.aggregatorWork(this.#options.waitSeconds));
        if ('idleMs' in work) await this.#sleep(work.idleMs);
        else await this.#serve(work);
      }
    } finally {
      ended.abort();
      await sweeping;
    }
  }

  /** Whatever becomes of one round, the next is served. */
  async #serve(work: AggregatorWork): Promise<void> {
    const { round } = work;
    try {
      await (work.kind === 'key' ? this.#giveKey(round, work.invitation) : this.#tellSum(round, work.request));
    } catch (error) {
      if (error instanceof Refusal) await this.#decline(round, error);
      else this.#leave(round, error);
      await this.#sleep(REFUSED_MS);
    }
  }

  /** The key is on disk before it is sent: a deposit that was sealed for it can be opened after any crash. */
  async #giveKey(round: RoundId, invitation: Invitation): Promise<void> {
    const kept = await this.#kept(round);
    if (kept?.kind === 'forgotten') throw new Refusal('SECAGG_DUPLICATE', 'the key of this round is destroyed');
    if (kept !== null && !equalBytes(encodeSharesSession(kept.session), invitation.session))
      throw new Refusal('SECAGG_DUPLICATE', 'another session of this round had a key before');
    const keyed = kept ?? (await this.#open(round, invitation));
    await this.#call(() => this.#calls.sendProtocolMessage(round, 'advertise-keys', keyed.outbox));
  }

  async #open(round: RoundId, invitation: Invitation): Promise<AggregatorState> {
    const { floor, random, onEvent } = this.#options;
    const standing = {
      client: this.#membership.client,
      identity: this.#state.key,
      rosterKeys: rosterKeysOf(this.#membership),
      floor: await floorOf({ ...DEFAULT_AGGREGATOR_FLOOR, ...floor }, this.#state, this.#membership),
      now: Date.now(),
    };
    const opened = openAggregator(invitation, standing, random);
    if (opened.kind === 'refused') throw new Refusal(opened.code, opened.why);
    const { session } = opened.state;
    if (session.round !== round) throw new Refusal('SECAGG_CONTEXT', 'the session is of another round');
    await noteRoster(this.#state, this.#membership, invitation.roster);
    await this.#state.keepAggregation(round, encodeAggregation(opened.state));
    const { cohort, minimumSurvivors } = session;
    onEvent({ kind: 'keyed', round, cohort: cohort.length, minimumSurvivors, trust: opened.trust });
    return opened.state;
  }

  /**
   * Which request is answered is on disk before the answer is sent. Once the coordinator has it, or takes none any more, the round's
   * secret is destroyed.
   */
  async #tellSum(round: RoundId, request: Uint8Array): Promise<void> {
    const kept = await this.#kept(round);
    if (kept === null) throw new Refusal('SECAGG_ORDER', 'this aggregator gave no key for the round, or has lost it');
    const taken = takeRequest(kept, request);
    if (taken.kind === 'refused') throw new Refusal(taken.code, taken.why, taken.unopened);
    await this.#state.keepAggregation(round, encodeAggregation(taken.state));
    const started = performance.now();
    const message = await inTurns(sumShares(taken.state.session, taken.seeds), this.#signal);
    try {
      await this.#call(() => this.#calls.uploadSum(round, message));
    } catch (error) {
      if (error instanceof ProblemError && OVER.has(error.code)) await this.#forget(round, taken.state);
      throw error;
    }
    await this.#forget(round, taken.state);
    this.#options.onEvent({
      kind: 'summed',
      round,
      members: taken.seeds.size,
      asked: taken.asked,
      seconds: (performance.now() - started) / 1000,
    });
  }

  async #forget(round: RoundId, state: AggregatorState): Promise<void> {
    await this.#state.keepAggregation(round, encodeAggregation(forgetSecret(state)));
  }

  async #decline(round: RoundId, { message: reason, unopened }: Refusal): Promise<void> {
    if (!this.#declined.has(round)) this.#options.onEvent({ kind: 'declined', round, reason });
    this.#declined.add(round);
    try {
      await this.#call(() => this.#calls.declineAggregation(round, reason, unopened));
      await this.#forgetDeclined(round);
    } catch (error) {
      this.#leave(round, error);
    }
  }

  /** The round ends by the decline, and what was sealed for its key is never asked for again. */
  async #forgetDeclined(round: RoundId): Promise<void> {
    const stored = await this.#state.aggregation(round);
    const kept = stored && parsed(stored);
    if (kept?.kind === 'keyed') await this.#forget(round, kept);
  }

  /** Ended, or gone on without this aggregator: there is nothing to do for it. @throws what is no answer about the round */
  #leave(round: RoundId, error: unknown): void {
    if (!(error instanceof ProblemError)) throw error;
    this.#options.onEvent({ kind: 'left-out', round, reason: error.message });
  }

  async #keepSwept(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await sleep(SWEEP_MS, undefined, { signal });
        await this.#sweep();
      }
    } catch (error) {
      if (!signal.aborted)
        this.#options.onEvent({ kind: 'note', message: `old rounds are not swept: ${String(error)}` });
    }
  }

  /** Rounds that are long over, whether they came to a sum or not. */
  async #sweep(): Promise<void> {
    const now = Date.now();
    const isOver = (bytes: Uint8Array): boolean => deadlineOfKept(decodeAggregation(bytes)) + AGGREGATION_KEPT_MS < now;
    for (const { name, error } of await this.#state.dropAggregations(isOver))
      this.#options.onEvent({
        kind: 'note',
        message: `aggregations/${name} cannot be read, and its round gets no answer: ${String(error)}`,
      });
  }

  /** @throws Refusal when nobody can tell any more what was answered in this round */
  async #kept(round: RoundId): Promise<KeptAggregation | null> {
    const stored = await this.#state.aggregation(round);
    const kept = stored && parsed(stored);
    if (kept === undefined) throw new Refusal('SECAGG_ORDER', 'what this aggregator kept of the round is damaged');
    return kept;
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

/** Undefined when it is damaged. */
function parsed(stored: Uint8Array): KeptAggregation | undefined {
  try {
    return decodeAggregation(stored);
  } catch (error) {
    if (error instanceof AggregationError) return undefined;
    throw error;
  }
}

/** Why a round gets nothing from this aggregator; with the members whose shares do not open, where that is why. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly unopened: readonly number[];

  constructor(code: SecaggRefusal, why: string, unopened: readonly number[] = []) {
    super(`${code}: ${why}`);
    this.unopened = unopened;
  }
}

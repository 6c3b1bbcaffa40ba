/** `carapace up`: coordinator in this process, clients in theirs, a task between them, a story of it all. */
import { join } from 'node:path';
import { parseBudgetId, parseModelName, parseTask, parseTaskId } from '@carapace/aggregation';
import type { ClientId, ModelName, TaskId } from '@carapace/aggregation';
import { buildShippedModel, formatJoinLink } from '@carapace/client-sdk';
import { parseConfig } from '@carapace/coordinator';
import type { Config, CoordinatorApi, Happening } from '@carapace/coordinator';
import { systemRandom } from '@carapace/crypto';
import { mnistEvaluator, mnistLabelCounts } from '@carapace/simulations';
import { CliError } from '../errors.ts';
import { hostCoordinator, untilAborted } from '../host-coordinator.ts';
import type { Hosted } from '../host-coordinator.ts';
import { modelFile } from '../model-file.ts';
import type { Io } from '../io.ts';
import { AggregatorProcess } from './aggregator-process.ts';
import type { AggregatorIdentity } from './aggregator-process.ts';
import { ClientProcesses } from './client-processes.ts';
import type { Ended } from './client-processes.ts';
import { jsonReporter } from './json-reporter.ts';
import { narrator } from './narrator.ts';
import { planNoise } from './plan-noise.ts';
import type { Beginning, NamedNoise, Reporter, Summary } from './reporter.ts';
import type { UpOptions } from './up-options.ts';

const USUAL_PORT = 7878;
const ACTOR = 'system';
/** All clients are on this host: one that does not answer for so long has ended. */
const STEP_SECONDS = 30;
/** So many abandoned rounds on end, and a run that was to end by itself gives up. */
const PATIENCE = 3;

export async function runFederation(io: Io, options: UpOptions): Promise<void> {
  const federation = new Federation(io, options);
  await federation.run();
}

class Federation {
  readonly #io: Io;
  readonly #options: UpOptions;
  readonly #reporter: Reporter;
  readonly #numbers = new Map<ClientId, number>();
  readonly #clients: ClientProcesses;
  readonly #aggregator: AggregatorProcess;
  /** Resolves when the task has all its rounds; rejects when it cannot get them. */
  readonly #done = Promise.withResolvers<void>();
  #tally = {
    rounds: 0,
    version: 0,
    testAccuracy: null as number | null,
    epsilon: null as number | null,
    bytesUp: 0,
    bytesDown: 0,
    abandoned: 0,
  };

  constructor(io: Io, options: UpOptions) {
    this.#io = io;
    this.#options = options;
    this.#reporter = io.output.json
      ? jsonReporter(io.output)
      : narrator(io.output, (client) => this.#numbers.get(client) ?? 0);
    this.#clients = new ClientProcesses(
      (number, event) => this.#reporter.clientSaid(number, event),
      (ended) => this.#onClientEnded(ended),
    );
    this.#aggregator = new AggregatorProcess((lastWords) =>
      this.#done.reject(new CliError('RUN_FAILED', `the aggregator has ended: ${lastWords}`)),
    );
    this.#done.promise.catch(() => undefined);
  }

  async run(): Promise<void> {
    this.#reporter.starting(this.#options);
    const hosted = await this.#host();
    const beginning = await this.#train(hosted).finally(async () => {
      this.#reporter.stopping();
      await Promise.all([this.#clients.stop(), this.#aggregator.stop()]);
      await hosted.running.close();
    });
    this.#reporter.finished(this.#summary(beginning));
  }

  async #host(): Promise<Hosted> {
    const { dataDirectory, port } = this.#options;
    const start = (chosen: number): Promise<Hosted> =>
      hostCoordinator(this.#config(chosen), {
        evaluator: mnistEvaluator(),
        listeners: [(happening) => this.#onHappening(happening)],
      });
    const hosted =
      port === null ? await start(USUAL_PORT).catch((error: unknown) => elsewhere(error, start)) : await start(port);
    this.#reporter.listening(hosted.running.url, dataDirectory, hosted.running.firstAdminKey !== null);
    return hosted;
  }

  #config(port: number): Config {
    return parseConfig({}, this.#io.env, { data: this.#options.dataDirectory, port });
  }

  async #train({ running: { api, url }, failed }: Hosted): Promise<Beginning> {
    const aggregator = this.#options.protection === 'shares' ? await this.#startAggregator(api, url) : null;
    const beginning = await this.#begin(api, url, aggregator);
    this.#reporter.begun(beginning);
    await this.#startClients(api, url, aggregator);
    const stopped = untilAborted(this.#io.signal);
    try {
      await Promise.race([this.#done.promise, stopped, failed]);
      if (!this.#io.signal.aborted && !this.#options.exit) {
        this.#reporter.trained(this.#summary(beginning));
        await Promise.race([stopped, failed]);
      }
    } finally {
      await stopTask(api, parseTaskId(beginning.task));
    }
    await this.#settle(api, beginning);
    return beginning;
  }

  /** A round that was stopped before its sum was opened has given its charge back. */
  async #settle(api: CoordinatorApi, { noise }: Beginning): Promise<void> {
    if (noise !== null) this.#tally.epsilon = (await api.findBudget(noise.budget)).epsilon;
  }

  async #startAggregator(api: CoordinatorApi, url: string): Promise<AggregatorIdentity> {
    const { token } = await api.createToken({ site: 'this-host', ttlSeconds: 3600 }, ACTOR);
    return this.#aggregator.start({
      joinLink: formatJoinLink(url, token),
      stateDirectory: join(this.#options.dataDirectory, 'aggregator'),
    });
  }

  async #begin(api: CoordinatorApi, url: string, aggregator: AggregatorIdentity | null): Promise<Beginning> {
    const { clients, alpha, seed, model } = this.#options;
    const name = parseModelName(model);
    const [{ version, parameters }, shares] = await Promise.all([
      ensureModel(api, name),
      mnistLabelCounts({ parts: clients, alpha, seed }),
    ]);
    this.#tally.version = version;
    const noise = await this.#planNoise(api, parameters);
    const task = await this.#createTask(api, name, shares, aggregator, noise);
    for (const client of await api.listClients()) this.#remember(client.id, client.name);
    return { url, task, model, version, parameters, protection: this.#options.protection, noise, shares };
  }

  /** The budget of this run is new: what earlier ones spent stays spent, on the budgets of those. */
  async #planNoise(api: CoordinatorApi, parameters: number): Promise<NamedNoise | null> {
    const { privacy, protection, clients, rounds } = this.#options;
    if (privacy === null || protection === 'clear') return null;
    const { epsilon, delta, clip } = privacy;
    const planned = planNoise({ protection, clients, rounds, parameters, epsilon, delta, clip });
    const budget = parseBudgetId(`run-${(await api.listBudgets()).length + 1}`);
    await api.setBudget(
      budget,
      { epsilon, delta, relation: 'zero-out', view: 'model', mode: 'planned', windowDays: null },
      ACTOR,
    );
    return { ...planned, budget, epsilon, delta, clip };
  }

  /** An earlier run's task is ended: its clients are these, and they train for this run's. */
  async #createTask(
    api: CoordinatorApi,
    model: ModelName,
    shares: Beginning['shares'],
    aggregator: AggregatorIdentity | null,
    noise: NamedNoise | null,
  ): Promise<TaskId> {
    const { clients, rounds, epochs, batchSize, learningRate, protection: kind } = this.#options;
    const largest = Math.max(...shares.map((labels) => labels.reduce((sum, count) => sum + count, 0)));
    const mine = (await api.listTasks()).filter(({ task }) => new RegExp(`^${model}-[0-9]+$`).test(task.name));
    for (const { task } of mine) await stopTask(api, task.name);
    const { task } = await api.createTask(
      parseTask({
        name: `${model}-${mine.length + 1}`,
        model: { name: model },
        cohort: {
          target: clients,
          selectionSeconds: 120,
          reportSeconds: 300,
          ...(noise && { minimum: noise.minimum }),
        },
        training: { epochs, batchSize, optimizer: { learningRate }, maxExamples: largest },
        protection: {
          kind,
          ...(kind !== 'clear' && { stepSeconds: STEP_SECONDS }),
          ...(aggregator && { aggregator: aggregator.client }),
          ...(noise && {
            privacy: { noiseMultiplier: noise.noiseMultiplier, clip: noise.clip, budgets: [noise.budget] },
          }),
        },
        rounds,
      }),
      ACTOR,
    );
    return task.name;
  }

  async #startClients(api: CoordinatorApi, url: string, aggregator: AggregatorIdentity | null): Promise<void> {
    const { clients, alpha, seed, dataDirectory } = this.#options;
    for (let number = 1; number <= clients; number++) {
      const { token } = await api.createToken({ site: 'this-host', ttlSeconds: 3600 }, ACTOR);
      const share = new URLSearchParams({
        part: String(number - 1),
        parts: String(clients),
        alpha: alpha === null ? 'even' : String(alpha),
        seed,
      });
      this.#clients.start({
        number,
        joinLink: formatJoinLink(url, token),
        data: `mnist?${share.toString()}`,
        stateDirectory: join(dataDirectory, 'clients'),
        aggregator: aggregator?.key ?? null,
      });
    }
  }

  #onHappening(happening: Happening): void {
    this.#count(happening);
    this.#reporter.happened(happening);
  }

  #count(happening: Happening): void {
    const tally = this.#tally;
    if (happening.kind === 'client-enrolled') this.#remember(happening.client, happening.name);
    if (happening.kind === 'update-admitted') tally.bytesUp += happening.bytes;
    if (happening.kind === 'budget-charged') tally.epsilon = happening.epsilon;
    if (happening.kind === 'bytes-sent') tally.bytesDown += happening.bytes;
    if (happening.kind === 'round-completed') {
      tally.rounds += 1;
      tally.abandoned = 0;
      tally.version = happening.version;
      tally.testAccuracy = happening.metrics['testAccuracy'] ?? null;
    }
    // A budget that is spent ends a run as its last round does.
    if (happening.kind === 'task-completed' || happening.kind === 'budget-refused') this.#done.resolve();
    if (happening.kind === 'round-abandoned' && ++tally.abandoned >= PATIENCE && this.#options.exit)
      this.#done.reject(
        new CliError('RUN_FAILED', `${PATIENCE} rounds on end were abandoned, the last: ${happening.reason}`),
      );
  }

  #onClientEnded(ended: Ended): void {
    this.#reporter.clientEnded(ended);
    if (this.#clients.running === 0)
      this.#done.reject(
        new CliError('RUN_FAILED', `every client has ended; the last said: ${ended.lastWords || ended.how}`),
      );
  }

  #remember(client: ClientId, name: string): void {
    const number = Number(/^client-([0-9]+)$/.exec(name)?.[1]);
    if (number > 0) this.#numbers.set(client, number);
  }

  #summary({ task, model, url }: Beginning): Summary {
    const { rounds, version, testAccuracy, epsilon, bytesUp, bytesDown } = this.#tally;
    const { clients, protection } = this.#options;
    return {
      task,
      model,
      version,
      rounds,
      testAccuracy,
      clients,
      protection,
      epsilon,
      seconds: Math.round(performance.now()) / 1000,
      bytesUp,
      bytesDown,
      url,
    };
  }
}

/** The usual port is taken: a newcomer's first run goes on at a free one, which the story names. */
function elsewhere(error: unknown, start: (port: number) => Promise<Hosted>): Promise<Hosted> {
  const cause = error instanceof CliError ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  if (cause?.code !== 'EADDRINUSE') throw error;
  return start(0);
}

async function ensureModel(api: CoordinatorApi, name: ModelName): Promise<{ version: number; parameters: number }> {
  const known = (await api.listModels()).some((model) => model.name === name);
  const { version, tensors } = known
    ? await api.findChannel(name, 'latest')
    : await api.uploadModel(name, modelFile(await buildShippedModel(name, systemRandom)), ACTOR);
  const sizes = tensors.map(({ shape }) => shape.reduce((size, length) => size * length, 1));
  return { version, parameters: sizes.reduce((sum, size) => sum + size, 0) };
}

async function stopTask(api: CoordinatorApi, id: TaskId): Promise<void> {
  const { status } = await api.findTask(id);
  if (status === 'active' || status === 'paused') await api.stopTask(id, ACTOR);
}

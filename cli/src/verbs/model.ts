import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { formatBytes, formatCount, formatTime, sheet, table } from '../format.ts';
import type { ModelList, Version, VersionList } from '../answers.ts';
import type { OperatorCalls } from '../operator-calls.ts';
import { operatorVerb, positiveInteger } from '../operator-verb.ts';
import type { Io } from '../io.ts';

interface Selected {
  readonly version?: number;
  readonly channel: string;
}

export function addModelVerbs(program: Command, io: Io): void {
  const model = program.command('model').description('Models and their versions');
  model.addCommand(
    operatorVerb('list [model]', 'All models, or the versions of one', io, async (calls, [name]) => {
      if (name === undefined) return listModels(calls, io);
      return listVersions(calls, io, name);
    }),
  );
  model.addCommand(
    selecting(
      operatorVerb<Selected>(
        'show <model>',
        'A version: metrics, lineage, digests',
        io,
        async (calls, [name = ''], options) => {
          const version = await calls.get<Version>(pathOf(name, options));
          io.output.result(version, () => versionSheet(version, calls.url));
        },
      ),
    ),
  );
  model.addCommand(
    selecting(
      operatorVerb<Selected & { readonly format: string; readonly out: string }>(
        'download <model>',
        'Save a version as a TensorFlow.js model, as safetensors or as an ONNX model',
        io,
        async (calls, [name = ''], options) => download(calls, io, name, options),
      ),
    )
      .option('--format <format>', 'tfjs (model.json and weights.bin), safetensors or onnx', 'tfjs')
      .option('--out <directory>', 'where to', '.'),
  );
  model.addCommand(
    operatorVerb<{ readonly weights?: string }>(
      'upload <model> <source>',
      'Publish a version: a TensorFlow.js model.json, the JSON of a Keras model (model.to_json()), a .safetensors file with topology metadata, or a shipped model (mnist-2nn, mnist-cnn, logistic)',
      io,
      async (calls, [name = '', source = ''], { weights }) => {
        const { modelSource } = await import('../model-source.ts');
        const bytes = await modelSource(source, weights);
        const path = `/v1/models/${encodeURIComponent(name)}/versions`;
        const version = await calls.upload<Version>(path, 'application/x-safetensors', bytes);
        io.output.result(version, () => `published ${version.model} version ${version.version}`);
      },
    ).option('--weights <file>', 'a .safetensors file with the weights of a .json source, by their names'),
  );
}

function selecting(command: Command): Command {
  return command
    .option('--version <number>', 'a version by its number', positiveInteger)
    .option('--channel <channel>', 'the version that a channel names', 'latest');
}

function pathOf(name: string, { version, channel }: Selected): string {
  const base = `/v1/models/${encodeURIComponent(name)}`;
  return version === undefined ? `${base}/channels/${encodeURIComponent(channel)}` : `${base}/versions/${version}`;
}

async function listModels(calls: OperatorCalls, io: Io): Promise<void> {
  const answer = await calls.get<ModelList>('/v1/models');
  io.output.result(answer, () =>
    table(
      ['MODEL', 'VERSIONS', 'CHANNELS', 'UPDATED'],
      answer.models.map(({ name, versions, channels, updatedAt }) => [
        name,
        String(versions),
        Object.entries(channels)
          .map(([channel, version]) => `${channel}=${version}`)
          .join(' '),
        formatTime(updatedAt),
      ]),
    ),
  );
}

async function listVersions(calls: OperatorCalls, io: Io, name: string): Promise<void> {
  const answer = await calls.get<VersionList>(`/v1/models/${encodeURIComponent(name)}/versions`);
  io.output.result(answer, () =>
    table(
      ['VERSION', 'ROUND', 'COHORT', 'METRICS', 'CREATED'],
      answer.versions.map(({ version, lineage, metrics, createdAt }) => [
        String(version),
        lineage.round ?? 'uploaded',
        String(lineage.cohort ?? '-'),
        metricsText(metrics),
        formatTime(createdAt),
      ]),
    ),
  );
}

function metricsText(metrics: Version['metrics']): string {
  const parts = Object.entries(metrics).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`);
  return parts.length === 0 ? '-' : parts.join(', ');
}

function versionSheet(version: Version, url: string): string {
  const base = `${url}/v1/models/${version.model}/versions/${version.version}`;
  return sheet([
    ['model', `${version.model} version ${version.version}`],
    ['created', formatTime(version.createdAt)],
    ['parameters', formatCount(version.parameters)],
    ['metrics', metricsText(version.metrics)],
    [
      'from',
      version.lineage.round === null ? 'uploaded' : `${version.lineage.round}, version ${version.lineage.parent}`,
    ],
    ['cohort', String(version.lineage.cohort ?? '-')],
    ['weights', `sha-256 ${version.digests.weights}`],
    ['topology', `sha-256 ${version.digests.topology}`],
    ['TensorFlow.js', `${base}/model.json`],
    ['safetensors', `${base}/model.safetensors`],
    ['ONNX', `${base}/model.onnx`],
  ]);
}

async function download(
  calls: OperatorCalls,
  io: Io,
  name: string,
  options: Selected & { readonly format: string; readonly out: string },
): Promise<void> {
  const { version } = await calls.get<Version>(pathOf(name, options));
  const base = `/v1/models/${encodeURIComponent(name)}/versions/${version}`;
  const files = filesOf(options.format);
  mkdirSync(options.out, { recursive: true });
  let bytes = 0;
  for (const file of files) {
    const content = await calls.download(`${base}/${file}`);
    writeFileSync(join(options.out, file), content);
    bytes += content.length;
  }
  const saved = files.map((file) => join(options.out, file));
  io.output.result({ model: name, version, files: saved, bytes }, () => {
    return `saved ${name} version ${version} as ${saved.join(' and ')} (${formatBytes(bytes)})`;
  });
}

function filesOf(format: string): readonly string[] {
  if (format === 'tfjs') return ['model.json', 'weights.bin'];
  if (format === 'safetensors') return ['model.safetensors'];
  if (format === 'onnx') return ['model.onnx'];
  throw new CliError('USAGE_INVALID', `--format is "${format}"; it may be tfjs, safetensors or onnx`);
}

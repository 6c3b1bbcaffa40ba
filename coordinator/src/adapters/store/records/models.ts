import type { Digest, Metrics, ModelName, RoundId, TensorSpec } from '@carapace/aggregation';
import type { ModelRecord, NewVersion, VersionRecord } from '../../../ports.ts';
import { numberOf } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';

interface Row {
  readonly model: ModelName;
  readonly version: number;
  readonly weights: Digest;
  readonly topology: Digest;
  readonly tensors: TensorSpec[];
  readonly round: RoundId | null;
  readonly parent: number | null;
  readonly metrics: Metrics;
  readonly cohort: number | null;
  readonly manifest: VersionRecord['manifest'];
  readonly created_at: Int8;
}

const COLUMNS = [
  'model',
  'version',
  'weights',
  'topology',
  'tensors',
  'round',
  'parent',
  'metrics',
  'cohort',
  'manifest',
  'created_at',
]
  .map((name) => `versions.${name}`)
  .join(', ');

/** The row of the model is locked by its own counting, so versions are dense and in the order of their commits. */
export async function insertVersion(db: Queryable, version: NewVersion, now: number): Promise<VersionRecord> {
  const counted = `-- count_version
    INSERT INTO models (name, next_version, updated_at) VALUES ($1, 2, $2)
    ON CONFLICT (name) DO UPDATE SET next_version = models.next_version + 1, updated_at = excluded.updated_at
    RETURNING next_version - 1 AS version`;
  const { rows } = await db.query<{ version: number }>(counted, [version.model, now]);
  const number = rows[0]?.version;
  if (number === undefined) throw new Error('counting a version returned no row');
  const { manifest: sign, ...content } = version;
  const record: VersionRecord = { ...content, version: number, manifest: sign(number), createdAt: now };
  await insert(db, record);
  await moveChannel(db, version.model, 'latest', number, now);
  return record;
}

export async function findVersion(db: Queryable, model: ModelName, version: number): Promise<VersionRecord | null> {
  const { rows } = await db.query<Row>(
    `-- find_version\nSELECT ${COLUMNS} FROM versions WHERE model = $1 AND version = $2`,
    [model, version],
  );
  return rows[0] === undefined ? null : versionRecord(rows[0]);
}

export async function findChannel(db: Queryable, model: ModelName, channel: string): Promise<VersionRecord | null> {
  const sql = `-- find_channel
    SELECT ${COLUMNS} FROM channels JOIN versions USING (model, version) WHERE model = $1 AND channel = $2`;
  const { rows } = await db.query<Row>(sql, [model, channel]);
  return rows[0] === undefined ? null : versionRecord(rows[0]);
}

export async function moveChannel(
  db: Queryable,
  model: ModelName,
  channel: string,
  version: number,
  now: number,
): Promise<boolean> {
  const sql = `-- move_channel
    INSERT INTO channels (model, channel, version, moved_at)
    SELECT model, $2, version, $4 FROM versions WHERE model = $1 AND version = $3
    ON CONFLICT (model, channel) DO UPDATE SET version = excluded.version, moved_at = excluded.moved_at`;
  return (await db.query(sql, [model, channel, version, now])).rowCount === 1;
}

export async function listModels(db: Queryable): Promise<ModelRecord[]> {
  const sql = `-- list_models
    SELECT name, next_version - 1 AS versions, updated_at,
           (SELECT coalesce(jsonb_object_agg(channel, version), '{}') FROM channels WHERE model = name) AS channels
    FROM models ORDER BY name COLLATE "C"`;
  const { rows } = await db.query<{
    name: ModelName;
    versions: number;
    updated_at: Int8;
    channels: Record<string, number>;
  }>(sql);
  return rows.map(({ name, versions, channels, updated_at }) => ({
    name,
    versions,
    channels,
    updatedAt: numberOf(updated_at),
  }));
}

export async function listVersions(db: Queryable, model: ModelName): Promise<VersionRecord[]> {
  const sql = `-- list_versions\nSELECT ${COLUMNS} FROM versions WHERE model = $1 ORDER BY version`;
  return (await db.query<Row>(sql, [model])).rows.map(versionRecord);
}

async function insert(db: Queryable, record: VersionRecord): Promise<void> {
  const sql = `-- insert_version
    INSERT INTO versions (model, version, weights, topology, tensors, round, parent, metrics, cohort, manifest, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`;
  const { model, version, weights, topology, tensors, round, parent, metrics, cohort, manifest, createdAt } = record;
  const json = JSON.stringify;
  await db.query(sql, [
    model,
    version,
    weights,
    topology,
    json(tensors),
    round,
    parent,
    json(metrics),
    cohort,
    json(manifest),
    createdAt,
  ]);
}

function versionRecord({ created_at, ...row }: Row): VersionRecord {
  return { ...row, createdAt: numberOf(created_at) };
}

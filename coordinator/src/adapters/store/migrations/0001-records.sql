-- The records: the truth of a coordinator. SQL that PostgreSQL 15 has. Instants are milliseconds since the epoch.

CREATE TABLE tasks (
  id text PRIMARY KEY,
  document jsonb NOT NULL,
  status text NOT NULL CHECK (status IN ('active', 'paused', 'stopped', 'completed')),
  next_round integer NOT NULL DEFAULT 1,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL
);

CREATE TABLE rounds (
  id text PRIMARY KEY,
  task text NOT NULL REFERENCES tasks,
  number integer NOT NULL,
  base_version integer NOT NULL,
  kind text NOT NULL,
  state jsonb NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  UNIQUE (task, number)
);
-- At most one round of a task runs at a time, whatever two processes do at once.
CREATE UNIQUE INDEX rounds_running ON rounds (task) WHERE kind NOT IN ('completed', 'abandoned');

CREATE TABLE round_events (
  round text NOT NULL REFERENCES rounds,
  sequence bigint GENERATED ALWAYS AS IDENTITY,
  at bigint NOT NULL,
  kind text NOT NULL,
  detail jsonb NOT NULL,
  PRIMARY KEY (round, sequence)
);

CREATE TABLE clients (
  id text PRIMARY KEY,
  name text NOT NULL,
  site text NOT NULL,
  key text NOT NULL UNIQUE,
  public_key bytea NOT NULL,
  status text NOT NULL CHECK (status IN ('active', 'revoked')),
  enrolled_at bigint NOT NULL,
  revoked_at bigint,
  revoked_reason text
);

-- What changes with every call of a client is kept apart from what it is: small rows, updated in place.
CREATE TABLE client_presence (
  client text PRIMARY KEY REFERENCES clients,
  seen_at bigint NOT NULL,
  waiting_until bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE client_sequences (
  client text PRIMARY KEY REFERENCES clients,
  high bigint NOT NULL,
  -- Bit i stands for the number high - i (64 bits, two's complement).
  bits bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE participants (
  round text NOT NULL REFERENCES rounds,
  client text NOT NULL REFERENCES clients,
  status text NOT NULL CHECK (status IN ('selected', 'reported', 'declined', 'revoked', 'dismissed')),
  reason text,
  selected_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (round, client)
) WITH (fillfactor = 80);
CREATE INDEX participants_selected ON participants (client) WHERE status = 'selected';

CREATE TABLE updates (
  id text PRIMARY KEY,
  round text NOT NULL REFERENCES rounds,
  client text NOT NULL REFERENCES clients,
  digest text NOT NULL,
  bytes bigint NOT NULL,
  examples bigint NOT NULL,
  metrics jsonb NOT NULL,
  at bigint NOT NULL,
  UNIQUE (round, client)
);

CREATE TABLE refusals (
  round text NOT NULL,
  client text NOT NULL,
  update_id text NOT NULL,
  code text NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (round, client, update_id, code)
);

CREATE TABLE enrolment_tokens (
  id text PRIMARY KEY,
  secret_hash bytea NOT NULL,
  site text NOT NULL,
  expires_at bigint NOT NULL,
  created_by text NOT NULL,
  created_at bigint NOT NULL,
  used_at bigint,
  used_by text,
  revoked_at bigint
);

CREATE TABLE api_keys (
  id text PRIMARY KEY,
  name text NOT NULL,
  role text NOT NULL CHECK (role IN ('admin', 'operator', 'auditor')),
  secret_hash bytea NOT NULL,
  created_at bigint NOT NULL,
  revoked_at bigint
);

CREATE TABLE models (
  name text PRIMARY KEY,
  next_version integer NOT NULL DEFAULT 1,
  updated_at bigint NOT NULL
);

CREATE TABLE versions (
  model text NOT NULL REFERENCES models,
  version integer NOT NULL,
  weights text NOT NULL,
  topology text NOT NULL,
  tensors jsonb NOT NULL,
  round text REFERENCES rounds,
  parent integer,
  metrics jsonb NOT NULL,
  cohort integer,
  manifest jsonb NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (model, version)
);
-- One version per completed round: publishing twice is refused by the database itself.
CREATE UNIQUE INDEX versions_round ON versions (round) WHERE round IS NOT NULL;

CREATE TABLE channels (
  model text NOT NULL,
  channel text NOT NULL,
  version integer NOT NULL,
  moved_at bigint NOT NULL,
  PRIMARY KEY (model, channel),
  FOREIGN KEY (model, version) REFERENCES versions
);

CREATE TABLE audit (
  sequence bigint PRIMARY KEY,
  at bigint NOT NULL,
  actor text NOT NULL,
  action text NOT NULL,
  object text NOT NULL,
  -- The exact text that was hashed: jsonb would not give it back.
  detail text NOT NULL,
  previous_hash text NOT NULL,
  hash text NOT NULL
);

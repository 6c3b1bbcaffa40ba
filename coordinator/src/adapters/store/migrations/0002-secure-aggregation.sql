-- Rosters that an enrolment authority signed, by the digest of what it signed; the newest serial is in force.
CREATE TABLE rosters (
  digest text PRIMARY KEY,
  serial bigint NOT NULL UNIQUE,
  bytes bytea NOT NULL,
  published_at bigint NOT NULL
);

-- What a cohort agreed on; kept until its round has ended.
CREATE TABLE secagg_sessions (
  round text PRIMARY KEY REFERENCES rounds,
  session bytea NOT NULL,
  roster bytea NOT NULL,
  -- The members whose inputs are in the sum with the digests of these, once no more are taken.
  survivors jsonb
);

-- Every message of a client, as it came: the state of the protocol is what they amount to.
CREATE TABLE secagg_messages (
  round text NOT NULL REFERENCES secagg_sessions ON DELETE CASCADE,
  step text NOT NULL,
  member integer NOT NULL,
  message bytea NOT NULL,
  PRIMARY KEY (round, step, member)
);

-- A round that runs while this version replaces an earlier one was planned without a protocol.
UPDATE rounds SET state = jsonb_set(state, '{plan,stepMs}', 'null')
WHERE state ? 'plan' AND NOT state -> 'plan' ? 'stepMs';

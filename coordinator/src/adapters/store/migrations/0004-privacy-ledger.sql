-- What was reserved, spent and given back of every privacy budget: appended to, never changed.
CREATE TABLE privacy_ledger (
  sequence bigint PRIMARY KEY,
  at bigint NOT NULL,
  actor text NOT NULL,
  -- The exact text that was hashed: jsonb would not give it back.
  entry text NOT NULL,
  previous_hash text NOT NULL,
  hash text NOT NULL
);

-- Rounds that run while this version replaces an earlier one are not charged.
UPDATE rounds SET state = jsonb_set(state, '{plan,charged}', 'false') WHERE state ? 'plan';

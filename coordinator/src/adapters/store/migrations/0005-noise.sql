-- What the coordinator draws a round's noise from; gone when the round has ended.
CREATE TABLE round_secrets (
  round text PRIMARY KEY REFERENCES rounds (id),
  secret bytea NOT NULL
);

-- Until now all noise was of the clients.
UPDATE tasks SET document = jsonb_set(document, '{protection,privacy,placement}', '"distributed"')
WHERE jsonb_typeof(document #> '{protection,privacy}') = 'object';

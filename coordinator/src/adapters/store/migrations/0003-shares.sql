-- With two aggregators an update is the coordinator's share; beside it goes a deposit, which is handed on to the other one.
ALTER TABLE updates ADD COLUMN deposit bytea;

-- The plan of a round that runs while this version replaces an earlier one.
UPDATE rounds SET state = jsonb_set(
  state #- '{plan,stepMs}', '{plan,protocol}',
  CASE WHEN state #>> '{plan,stepMs}' IS NULL THEN 'null'::jsonb
       ELSE jsonb_build_object('by', 'cohort', 'stepMs', state #> '{plan,stepMs}') END)
WHERE state -> 'plan' ? 'stepMs';

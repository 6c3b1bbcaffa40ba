-- Correlated noise: the steps that were released, and the state after each, a blob among the updates.
CREATE TABLE noise_steps (
  task text NOT NULL REFERENCES tasks (id),
  step integer NOT NULL,
  round text NOT NULL UNIQUE REFERENCES rounds (id),
  state text NOT NULL,
  PRIMARY KEY (task, step)
);

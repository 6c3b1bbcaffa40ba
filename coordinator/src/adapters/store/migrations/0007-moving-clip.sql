-- A clip that moves: what the updates of a round are clipped to, and the noisy share of them that were within.
ALTER TABLE rounds
  ADD COLUMN clip double precision,
  ADD COLUMN within_clip double precision;

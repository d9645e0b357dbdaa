-- Remote sign-ins that are under way, devices that do not call any more, and who has been silent since when. The columns
-- are worked out by the program (`revisions`).

ALTER TABLE devices
  ADD COLUMN ix_sign_in_until bigint,
  ADD COLUMN ix_offline_since bigint,
  ADD COLUMN ix_stale boolean NOT NULL DEFAULT false;
CREATE INDEX ON devices (ix_sign_in_until, ord) WHERE ix_sign_in_until IS NOT NULL;
CREATE INDEX ON devices (ix_offline_since, ord) WHERE ix_offline_since IS NOT NULL;
CREATE INDEX ON devices (ord) WHERE ix_stale;

CREATE INDEX ON seen (at, key);

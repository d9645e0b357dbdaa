-- When a device was provisioned, for a rollout's course, and when a message was queued. The columns are worked out by the
-- program (`revisions`).

ALTER TABLE devices ADD COLUMN ix_provisioned_at bigint;
CREATE INDEX ON devices (ix_provisioned_at, ord) WHERE ix_provisioned_at IS NOT NULL;

-- How many reached it, and when, is counted by these alone.
CREATE INDEX ON devices (ix_site, ix_provisioned_at) INCLUDE (ix_batch)
  WHERE ix_provisioned_at IS NOT NULL AND NOT ix_removed;
CREATE INDEX ON devices (ix_site, ix_installed_at) INCLUDE (ix_batch)
  WHERE ix_installed_at IS NOT NULL AND NOT ix_removed;

ALTER TABLE outbox ADD COLUMN ix_created bigint;
CREATE INDEX ON outbox (ix_created, id) WHERE ix_created IS NOT NULL;

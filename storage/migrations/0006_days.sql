-- What a technician has left and did today, and which of a site's codes ended and devices are silent.

CREATE INDEX ON devices (ix_technician, ord) INCLUDE (ix_removed, ix_batch) WHERE ix_open;
CREATE INDEX ON devices (ix_technician, ix_installed_at) INCLUDE (ix_batch)
  WHERE ix_installed_at IS NOT NULL AND NOT ix_removed;
CREATE INDEX ON devices (ix_site, ord) WHERE ix_hashed_until IS NOT NULL;
CREATE INDEX ON devices (ix_site, ord) WHERE ix_offline_since IS NOT NULL;

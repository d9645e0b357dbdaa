-- Pictures of installs, and when a device was installed. The column is worked out by the program (`revisions`).

ALTER TABLE devices ADD COLUMN ix_installed_at bigint;
CREATE INDEX ON devices (ix_installed_at, ord) WHERE ix_installed_at IS NOT NULL;

CREATE TABLE photos (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_device text COLLATE "C"
);
CREATE INDEX ON photos (ord);
CREATE INDEX ON photos (ix_device, ord) WHERE ix_device IS NOT NULL;

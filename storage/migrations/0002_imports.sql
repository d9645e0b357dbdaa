-- Imports that nobody sees until they are finished, tags, vendors, what was read of a sheet, and long work.

ALTER TABLE batches ADD COLUMN ix_hides boolean NOT NULL DEFAULT false;
CREATE INDEX ON batches (ord) WHERE ix_hides;

-- What stands in these columns is worked out by the program, for rows that are there already too (`revisions`).
ALTER TABLE devices
  ADD COLUMN ix_batch text COLLATE "C",
  ADD COLUMN ix_vendor text COLLATE "C",
  ADD COLUMN ix_tag text COLLATE "C";
CREATE INDEX ON devices (ix_batch, ord) WHERE ix_batch IS NOT NULL;
CREATE INDEX ON devices (ix_vendor, ord) WHERE ix_vendor IS NOT NULL;

CREATE TABLE uploads (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_by text COLLATE "C",
  ix_state text COLLATE "C",
  ix_at bigint,
  ix_unfinished boolean NOT NULL
);
CREATE INDEX ON uploads (ord);
CREATE INDEX ON uploads (ix_by, ord) WHERE ix_by IS NOT NULL;
CREATE INDEX ON uploads (ix_state, ord) WHERE ix_state IS NOT NULL;
CREATE INDEX ON uploads (ix_at, ord) WHERE ix_at IS NOT NULL;
CREATE INDEX ON uploads (ord) WHERE ix_unfinished;

CREATE TABLE upload_parts (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_upload text COLLATE "C"
);
CREATE INDEX ON upload_parts (ord);
CREATE INDEX ON upload_parts (ix_upload, ord) WHERE ix_upload IS NOT NULL;

CREATE TABLE jobs (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_by text COLLATE "C",
  ix_at bigint,
  ix_running boolean NOT NULL
);
CREATE INDEX ON jobs (ord);
CREATE INDEX ON jobs (ix_by, ord) WHERE ix_by IS NOT NULL;
CREATE INDEX ON jobs (ix_at, ord) WHERE ix_at IS NOT NULL;
CREATE INDEX ON jobs (ord) WHERE ix_running;

-- By which revision of its kind (storage/kinds.py) the columns of a table were worked out; 1 for one that is not named.
CREATE TABLE revisions (
  name text PRIMARY KEY,
  revision int NOT NULL
);

-- Counts are kept by import, and those of an import that hides are passed over when they are summed. So nothing moves
-- when it appears or disappears, and nobody waits for a row.
ALTER TABLE tally ADD COLUMN batch text COLLATE "C" NOT NULL DEFAULT '';

CREATE TABLE tagged (
  tag text COLLATE "C" NOT NULL,
  place text COLLATE "C" NOT NULL,
  device text COLLATE "C" NOT NULL,
  PRIMARY KEY (tag, place)
);

DROP TRIGGER tally_in ON devices;
DROP TRIGGER tally_moved ON devices;

CREATE OR REPLACE FUNCTION count_device() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT OLD.ix_removed THEN
    INSERT INTO tally (site, state, installed, problem, n, batch)
    VALUES (OLD.ix_site, OLD.ix_state, OLD.ix_installed, OLD.ix_problem, -1, coalesce(OLD.ix_batch, ''));
  END IF;
  IF TG_OP <> 'DELETE' AND NOT NEW.ix_removed THEN
    INSERT INTO tally (site, state, installed, problem, n, batch)
    VALUES (NEW.ix_site, NEW.ix_state, NEW.ix_installed, NEW.ix_problem, 1, coalesce(NEW.ix_batch, ''));
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER tally_moved AFTER UPDATE ON devices FOR EACH ROW
  WHEN ((OLD.ix_site, OLD.ix_state, OLD.ix_installed, OLD.ix_problem, OLD.ix_removed, OLD.ix_batch)
    IS DISTINCT FROM (NEW.ix_site, NEW.ix_state, NEW.ix_installed, NEW.ix_problem, NEW.ix_removed, NEW.ix_batch))
  EXECUTE FUNCTION count_device();

-- Devices come in their hundreds: one difference for all that are alike.
CREATE FUNCTION count_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO tally (site, state, installed, problem, n, batch)
  SELECT ix_site, ix_state, ix_installed, ix_problem, count(*), coalesce(ix_batch, '')
  FROM added WHERE NOT ix_removed GROUP BY 1, 2, 3, 4, 6;
  INSERT INTO tagged SELECT jsonb_array_elements_text(ix_tag::jsonb), ord, key FROM added WHERE ix_tag IS NOT NULL;
  RETURN NULL;
END $$;

CREATE TRIGGER added AFTER INSERT ON devices REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION count_added();

CREATE FUNCTION tag_device() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.ix_tag IS NOT NULL THEN
    DELETE FROM tagged
    WHERE place = OLD.ord AND tag IN (SELECT jsonb_array_elements_text(OLD.ix_tag::jsonb));
  END IF;
  IF TG_OP <> 'DELETE' AND NEW.ix_tag IS NOT NULL THEN
    INSERT INTO tagged SELECT jsonb_array_elements_text(NEW.ix_tag::jsonb), NEW.ord, NEW.key;
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER tagged_out AFTER DELETE ON devices FOR EACH ROW
  WHEN (OLD.ix_tag IS NOT NULL) EXECUTE FUNCTION tag_device();
CREATE TRIGGER tagged_moved AFTER UPDATE ON devices FOR EACH ROW
  WHEN ((OLD.ix_tag, OLD.ord) IS DISTINCT FROM (NEW.ix_tag, NEW.ord)
    AND (OLD.ix_tag IS NOT NULL OR NEW.ix_tag IS NOT NULL))
  EXECUTE FUNCTION tag_device();

-- Advisory locks, each together with a hash of the schema's name: 1 facts that have a number and are not committed,
-- 2 claims, 3 folding the tally, 4 migrations, 5 instances and units (shared) against whoever carries the store (alone).

-- The first schema. Every record is a document with its indexes as columns beside it (storage/kinds.py): `ix_…` are
-- worked out by the program, `ord` is the place in the order that pages are read in, `version` guards each change.
-- Text compares byte by byte (collation "C"), as the other stores compare it; times are microseconds since 1970, UTC.

-- A changed column that no index holds lets PostgreSQL keep the row on its page: hence the room left there.
CREATE TABLE devices (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_site text COLLATE "C",
  ix_place text COLLATE "C",
  ix_location text COLLATE "C",
  ix_suffix text COLLATE "C",
  ix_state text COLLATE "C",
  ix_technician text COLLATE "C",
  ix_token text COLLATE "C",
  ix_code_until bigint,
  ix_hashed_until bigint,
  ix_installed boolean NOT NULL,
  ix_problem boolean NOT NULL,
  ix_removed boolean NOT NULL,
  ix_open boolean NOT NULL,
  ix_text text COLLATE "C"
) WITH (fillfactor = 80);
CREATE INDEX ON devices (ord);
CREATE INDEX ON devices (ix_site, ord) WHERE ix_site IS NOT NULL;
CREATE INDEX ON devices (ix_place, ord) WHERE ix_place IS NOT NULL;
CREATE INDEX ON devices (ix_location, ord) WHERE ix_location IS NOT NULL;
CREATE INDEX ON devices (ix_suffix, ord) WHERE ix_suffix IS NOT NULL;
CREATE INDEX ON devices (ix_state, ord) WHERE ix_state IS NOT NULL;
CREATE INDEX ON devices (ix_technician, ord) WHERE ix_technician IS NOT NULL;
CREATE INDEX ON devices (ix_token, ord) WHERE ix_token IS NOT NULL;
CREATE INDEX ON devices (ix_code_until, ord) WHERE ix_code_until IS NOT NULL;
CREATE INDEX ON devices (ix_hashed_until, ord) WHERE ix_hashed_until IS NOT NULL;
CREATE INDEX ON devices (ord) WHERE ix_installed;
CREATE INDEX ON devices (ord) WHERE ix_problem;
CREATE INDEX ON devices (ord) WHERE ix_removed;
CREATE INDEX ON devices (ord) WHERE ix_open;
CREATE INDEX ON devices (ix_site, ix_state, ord);
CREATE INDEX ON devices (ix_site, ord) WHERE ix_problem;
CREATE INDEX ON devices (ord) WHERE ix_code_until IS NOT NULL;

CREATE TABLE people (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_name text COLLATE "C",
  ix_upn text COLLATE "C",
  ix_teams_id text COLLATE "C",
  ix_admin boolean NOT NULL,
  ix_technician boolean NOT NULL,
  ix_asked boolean NOT NULL,
  ix_text text COLLATE "C"
);
CREATE INDEX ON people (ord);
CREATE INDEX ON people (ix_name, ord) WHERE ix_name IS NOT NULL;
CREATE INDEX ON people (ix_upn, ord) WHERE ix_upn IS NOT NULL;
CREATE INDEX ON people (ix_teams_id, ord) WHERE ix_teams_id IS NOT NULL;
CREATE INDEX ON people (ord) WHERE ix_admin;
CREATE INDEX ON people (ord) WHERE ix_technician;
CREATE INDEX ON people (ord) WHERE ix_asked;

CREATE TABLE rollouts (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_site text COLLATE "C"
);
CREATE INDEX ON rollouts (ord);
CREATE INDEX ON rollouts (ix_site, ord) WHERE ix_site IS NOT NULL;

CREATE TABLE posts (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_reader text COLLATE "C",
  ix_subject text COLLATE "C",
  ix_shows_code boolean NOT NULL,
  ix_message text COLLATE "C",
  ix_view text COLLATE "C",
  ix_conversation text COLLATE "C"
);
CREATE INDEX ON posts (ord);
CREATE INDEX ON posts (ix_reader, ord) WHERE ix_reader IS NOT NULL;
CREATE INDEX ON posts (ix_subject, ord) WHERE ix_subject IS NOT NULL;
CREATE INDEX ON posts (ord) WHERE ix_shows_code;
CREATE INDEX ON posts (ix_message, ord) WHERE ix_message IS NOT NULL;
CREATE INDEX ON posts (ix_view, ord) WHERE ix_view IS NOT NULL;
CREATE INDEX ON posts (ix_conversation, ord) WHERE ix_conversation IS NOT NULL;

CREATE TABLE batches (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_by text COLLATE "C",
  ix_kind text COLLATE "C"
);
CREATE INDEX ON batches (ord);
CREATE INDEX ON batches (ix_by, ord) WHERE ix_by IS NOT NULL;
CREATE INDEX ON batches (ix_kind, ord) WHERE ix_kind IS NOT NULL;

CREATE TABLE attempts (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL
);
CREATE INDEX ON attempts (ord);

CREATE TABLE operations (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_at bigint
);
CREATE INDEX ON operations (ord);
CREATE INDEX ON operations (ix_at, ord) WHERE ix_at IS NOT NULL;

CREATE TABLE leases (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL
);
CREATE INDEX ON leases (ord);

CREATE TABLE segments (
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ord text COLLATE "C" NOT NULL,
  ix_dropped boolean NOT NULL,
  ix_newest bigint
);
CREATE INDEX ON segments (ord);
CREATE INDEX ON segments (ord) WHERE ix_dropped;
CREATE INDEX ON segments (ix_newest, ord) WHERE ix_newest IS NOT NULL;

-- `id` is the place in the queue. Only waiting rows are looked through, however many were sent before.
CREATE TABLE outbox (
  id bigint GENERATED BY DEFAULT AS IDENTITY UNIQUE,
  key text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  doc jsonb NOT NULL,
  ix_status text COLLATE "C",
  ix_recipient text COLLATE "C",
  ix_subject text COLLATE "C",
  ix_lane text COLLATE "C",
  ix_unique text COLLATE "C",
  ix_kind text COLLATE "C",
  ix_settled bigint,
  due_at bigint NOT NULL,
  leased_until bigint
) WITH (fillfactor = 80);
CREATE INDEX ON outbox (ix_status, id) WHERE ix_status IS NOT NULL;
CREATE INDEX ON outbox (ix_recipient, id) WHERE ix_recipient IS NOT NULL;
CREATE INDEX ON outbox (ix_subject, id) WHERE ix_subject IS NOT NULL;
CREATE INDEX ON outbox (ix_lane, id) WHERE ix_lane IS NOT NULL;
CREATE INDEX ON outbox (ix_unique, id) WHERE ix_unique IS NOT NULL;
CREATE INDEX ON outbox (ix_kind, id) WHERE ix_kind IS NOT NULL;
CREATE INDEX ON outbox (ix_settled, id) WHERE ix_settled IS NOT NULL;
CREATE INDEX outbox_heads ON outbox (ix_lane, id) WHERE ix_status = 'waiting';
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE ix_status = 'waiting';
CREATE INDEX outbox_leases ON outbox (leased_until) WHERE ix_status = 'waiting' AND leased_until IS NOT NULL;

-- Facts. `digest` is SHA-256 over the canonical document; the segments chain them afterwards.
CREATE TABLE audit (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  subject text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  digest text NOT NULL,
  doc jsonb NOT NULL
);
CREATE INDEX ON audit (subject, id);

CREATE TABLE seen (
  key text COLLATE "C" PRIMARY KEY,
  at bigint NOT NULL
);

-- Counts of listed devices as differences that are summed when they are read: a row per site and state would be
-- waited for by every change at a busy site. Whoever finds many rows here folds them together.
CREATE TABLE tally (
  site text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  installed boolean NOT NULL,
  problem boolean NOT NULL,
  n bigint NOT NULL
);
CREATE INDEX ON tally (site);

-- Their rows come and go: what is left of them must not be waded through.
ALTER TABLE tally SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);

CREATE FUNCTION count_device() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' AND NOT OLD.ix_removed THEN
    INSERT INTO tally VALUES (OLD.ix_site, OLD.ix_state, OLD.ix_installed, OLD.ix_problem, -1);
  END IF;
  IF TG_OP <> 'DELETE' AND NOT NEW.ix_removed THEN
    INSERT INTO tally VALUES (NEW.ix_site, NEW.ix_state, NEW.ix_installed, NEW.ix_problem, 1);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER tally_in AFTER INSERT ON devices FOR EACH ROW EXECUTE FUNCTION count_device();
CREATE TRIGGER tally_out AFTER DELETE ON devices FOR EACH ROW EXECUTE FUNCTION count_device();
CREATE TRIGGER tally_moved AFTER UPDATE ON devices FOR EACH ROW
  WHEN ((OLD.ix_site, OLD.ix_state, OLD.ix_installed, OLD.ix_problem, OLD.ix_removed)
    IS DISTINCT FROM (NEW.ix_site, NEW.ix_state, NEW.ix_installed, NEW.ix_problem, NEW.ix_removed))
  EXECUTE FUNCTION count_device();

-- One row: when a write was last seen to work, and what a verification found wrong, for every instance to see.
CREATE TABLE pulse (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  at timestamptz NOT NULL DEFAULT now(),
  fault text
);
INSERT INTO pulse DEFAULT VALUES;

-- A unit of work is one round trip: its statements follow each other in one transaction, and the one that does not
-- find what it must find ends it. The messages name the key; `PB001` is a conflict, `PB002` a duplicate.
CREATE FUNCTION must_be_one(many bigint, wanted text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF many <> 1 THEN RAISE EXCEPTION USING ERRCODE = 'PB001', MESSAGE = wanted; END IF;
END $$;

CREATE FUNCTION must_be_new(many bigint, wanted text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF many <> 1 THEN RAISE EXCEPTION USING ERRCODE = 'PB002', MESSAGE = wanted; END IF;
END $$;

-- Whether anything may be written: not while the store is carried elsewhere (whoever carries it holds the lock alone), and
-- not once a verification found a fault. The lock is held with the other units, until this one ends.
CREATE FUNCTION may_write() RETURNS void LANGUAGE plpgsql AS $$
DECLARE found_fault text;
BEGIN
  IF NOT pg_try_advisory_xact_lock_shared(hashtextextended(current_schema(), 5)) THEN
    RAISE EXCEPTION USING ERRCODE = 'PB004', MESSAGE = 'the store is being carried';
  END IF;
  SELECT fault INTO found_fault FROM pulse;
  IF found_fault IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'PB003', MESSAGE = found_fault; END IF;
END $$;

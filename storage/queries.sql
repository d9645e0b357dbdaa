-- The statements of the PostgreSQL store, by name; what only opens, moves or ends a transaction stands in its code.
-- {table}, {columns}, {values}, {settings} and {where} are put in from the kinds of records (storage/kinds.py) and their
-- named indexes; whatever comes from outside is bound.

-- Devices of an import that is not finished, or was undone, are seen by those alone who name it.
-- name: seen_by_all
(ix_batch IS NULL OR ix_batch NOT IN (SELECT key FROM batches WHERE ix_hides))

-- name: get
SELECT doc FROM {table} WHERE key = %s AND {seen}

-- name: get_many
SELECT doc FROM {table} WHERE key = ANY(%s) AND {seen}

-- name: tagged_devices
tagged JOIN devices ON devices.key = tagged.device

-- name: find
SELECT doc, {order} FROM {table} WHERE {where} ORDER BY {order} LIMIT %s

-- name: find_each
SELECT found.doc FROM unnest(%s::text[]) WITH ORDINALITY AS asked (value, number) CROSS JOIN LATERAL (
  SELECT doc, ord FROM {table} WHERE ix_{index} = asked.value AND {seen} ORDER BY ord LIMIT %s
) AS found ORDER BY asked.number, found.ord

-- name: count
SELECT count(*) FROM {table} WHERE {where}

-- ── a unit of work: it begins by asking whether anything may be written at all; each statement ends the transaction where it does not find what it must find ──

-- name: begin_unit
SELECT may_write()

-- name: insert
WITH done AS (
  INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT (key) DO NOTHING RETURNING 1
) SELECT must_be_new(count(*), %(key)s) FROM done

-- name: insert_many
WITH done AS (
  INSERT INTO {table} ({columns}) SELECT {given} FROM unnest({arrays}) AS given ({columns})
  ON CONFLICT (key) DO NOTHING RETURNING key
) SELECT must_be_new(0, key) FROM unnest(%(key)s::text[]) AS given (key)
WHERE key NOT IN (SELECT key FROM done) LIMIT 1

-- name: replace
WITH done AS (
  UPDATE {table} SET {settings} WHERE key = %(key)s AND version = %(version)s - 1 RETURNING 1
) SELECT must_be_one(count(*), %(key)s) FROM done

-- name: delete
WITH done AS (
  DELETE FROM {table} WHERE key = %(key)s AND version = %(version)s RETURNING 1
) SELECT must_be_one(count(*), %(key)s) FROM done

-- Messages are numbered in their order; one whose word waits already is left out. The waiting row is locked: a claim that
-- is under way either ends first, and then the row no longer waits unleased, or it passes the row over until this unit is
-- committed.
-- name: insert_messages
WITH given AS (
  SELECT * FROM unnest({arrays}) WITH ORDINALITY AS given ({columns}, place)
), waiting AS (
  SELECT ix_unique FROM {table}
  WHERE ix_unique = ANY(%(ix_unique)s::text[]) AND ix_status = 'waiting' AND leased_until IS NULL
  FOR SHARE
), wanted AS (
  SELECT * FROM given WHERE NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.ix_unique = given.ix_unique)
), done AS (
  INSERT INTO {table} ({columns}) SELECT {given} FROM wanted ORDER BY place ON CONFLICT (key) DO NOTHING RETURNING key
) SELECT must_be_new(0, key) FROM wanted WHERE key NOT IN (SELECT key FROM done) LIMIT 1

-- Facts take their numbers in turns that the sealer can wait for, so that what it seals has no gap.
-- name: record
WITH turn AS MATERIALIZED (
  SELECT pg_advisory_xact_lock_shared(hashtextextended(current_schema(), 1))
)
INSERT INTO audit (subject, at, digest, doc)
SELECT subject, at, digest, doc::jsonb
FROM turn, unnest(%(subjects)s::text[], %(times)s::bigint[], %(digests)s::text[], %(docs)s::text[])
  WITH ORDINALITY AS fact (subject, at, digest, doc, place)
ORDER BY place

-- ── the audit ──

-- name: history
SELECT id, doc FROM audit WHERE {where} ORDER BY id DESC LIMIT %s

-- name: facts
SELECT id, doc FROM audit WHERE id > %s AND id <= %s ORDER BY id LIMIT %s

-- The newest fact that is seen, the last one that was sealed, and all who hold the lock of `record`: the units that may
-- have taken a lower number and are not seen yet. Rows are seen as they were when the statement began, locks as they are
-- while it runs, and a lock is let go after what its unit did is seen: so nobody is missed in between.
-- name: look_at_facts
SELECT coalesce((SELECT max(id) FROM audit), 0),
  coalesce((SELECT (doc ->> 'last')::bigint FROM segments ORDER BY ord DESC LIMIT 1), 0),
  ARRAY(
    SELECT virtualtransaction FROM pg_locks
    WHERE granted AND locktype = 'advisory' AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32 | objid::bigint) = hashtextextended(current_schema(), 1))

-- name: last_without_a_gap
SELECT coalesce(max(id), %(behind)s) FROM (
  SELECT id, row_number() OVER (ORDER BY id) AS place FROM audit WHERE id > %(behind)s AND id <= %(newest)s
) AS numbered WHERE id = %(behind)s + place

-- While the sealer waits, everybody with a fact waits behind it; so it does not wait long.
-- name: wait_for_facts
SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 1))
FROM (SELECT set_config('lock_timeout', '100ms', true)) AS not_long

-- name: last_fact
SELECT coalesce(max(id), 0) FROM audit

-- name: last_segment
SELECT doc FROM segments ORDER BY ord DESC LIMIT 1

-- name: oldest_segment
SELECT doc FROM segments WHERE NOT ix_dropped ORDER BY ord LIMIT 1

-- name: unsealed
SELECT id, at, digest FROM audit WHERE id > %s AND id <= %s ORDER BY id LIMIT %s

-- name: drop_facts
DELETE FROM audit WHERE id BETWEEN %s AND %s

-- name: facts_to_redact
SELECT id, doc FROM audit WHERE id = ANY(%s) ORDER BY id FOR UPDATE

-- name: say_otherwise
UPDATE audit SET doc = %s::jsonb, subject = %s WHERE id = %s

-- name: segments
SELECT doc FROM segments ORDER BY ord

-- name: other_versions
SELECT key FROM {table} WHERE version::text IS DISTINCT FROM doc ->> 'version' LIMIT 1

-- name: everything
SELECT doc, {columns} FROM {table}

-- name: digests
SELECT id, digest, {doc} FROM audit WHERE id > %s AND id <= %s ORDER BY id

-- ── the outbox ──

-- One claim at a time, whichever instance: else two could each take a message of one lane.
-- name: wait_for_claims
SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 2))

-- A lane's head is its oldest waiting row. The lanes are walked one by one through the index of waiting rows, so that
-- a long lane costs no more than a short one. Rows get their numbers before they are committed, so an older one may
-- appear behind one that is under way already: the lane then waits for that.
-- name: claim
WITH RECURSIVE {heads}, due AS (
  SELECT key FROM heads LEFT JOIN leases USING (lane)
  WHERE due_at <= %(now)s AND (leases.until IS NULL OR leases.until <= %(now)s)
  ORDER BY due_at, id LIMIT %(limit)s
), free AS (
  SELECT outbox.key FROM outbox JOIN due ON due.key = outbox.key
  WHERE ix_status = 'waiting' AND (leased_until IS NULL OR leased_until <= %(now)s)
  FOR UPDATE OF outbox SKIP LOCKED
)
UPDATE outbox SET leased_until = %(until)s, version = version + 1,
  doc = doc || jsonb_build_object('leased_until', %(until_text)s::text, 'version', version + 1)
FROM free WHERE outbox.key = free.key
RETURNING due_at, id, doc

-- name: next_due
WITH RECURSIVE {heads}
SELECT min(coalesce(leases.until, due_at)) FROM heads LEFT JOIN leases USING (lane)

-- name: heads
lanes AS (
  (SELECT ix_lane AS lane FROM outbox WHERE ix_status = 'waiting' ORDER BY ix_lane, id LIMIT 1)
  UNION ALL
  SELECT (
    SELECT ix_lane FROM outbox WHERE ix_status = 'waiting' AND ix_lane > lanes.lane ORDER BY ix_lane, id LIMIT 1)
  FROM lanes WHERE lanes.lane IS NOT NULL
), heads AS (
  SELECT lanes.lane, oldest.* FROM lanes CROSS JOIN LATERAL (
    SELECT key, id, due_at FROM outbox
    WHERE ix_status = 'waiting' AND ix_lane = lanes.lane ORDER BY ix_lane, id LIMIT 1) AS oldest
), leases AS (
  SELECT ix_lane AS lane, max(leased_until) AS until FROM outbox
  WHERE ix_status = 'waiting' AND leased_until IS NOT NULL GROUP BY 1
)

-- ── beside the records ──

-- name: tally
SELECT site, state, installed, problem,
  sum(n) FILTER (WHERE batch = '' OR batch NOT IN (SELECT key FROM batches WHERE ix_hides))::bigint,
  count(*) - count(DISTINCT batch)
FROM tally WHERE {where} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4

-- name: fold_tally
WITH gone AS (
  DELETE FROM tally WHERE (SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema(), 3))) RETURNING *
)
INSERT INTO tally (site, state, installed, problem, batch, n)
SELECT site, state, installed, problem, batch, sum(n) FROM gone GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0

-- name: miscounted
SELECT count(*) FROM (
  SELECT site, state, installed, problem, batch, sum(n) AS n FROM tally GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0
) AS kept FULL JOIN (
  SELECT ix_site AS site, ix_state AS state, ix_installed AS installed, ix_problem AS problem,
    coalesce(ix_batch, '') AS batch, count(*) AS n
  FROM devices WHERE NOT ix_removed GROUP BY 1, 2, 3, 4, 5
) AS counted USING (site, state, installed, problem, batch)
WHERE kept.n IS DISTINCT FROM counted.n

-- name: mistagged
SELECT count(*) FROM tagged FULL JOIN (
  SELECT jsonb_array_elements_text(ix_tag::jsonb) AS tag, ord AS place, key AS device
  FROM devices WHERE ix_tag IS NOT NULL
) AS there USING (tag, place, device)
WHERE tagged.device IS NULL OR there.device IS NULL

-- name: timeline
SELECT ix_site, ({time} - %s - 1) / %s, count(*) FROM {table} WHERE {where} GROUP BY 1, 2 ORDER BY 1, 2

-- name: tags
SELECT tag, count(*) FROM {tagged} WHERE NOT ix_removed AND {seen} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100

-- name: record_seen
INSERT INTO seen (key, at) SELECT * FROM unnest(%(macs)s::text[], %(times)s::bigint[])
ON CONFLICT (key) DO UPDATE SET at = excluded.at WHERE seen.at < excluded.at

-- name: last_seen
SELECT key, at FROM seen WHERE key = ANY(%s)

-- name: silent
SELECT key, at FROM seen WHERE {where} ORDER BY at, key LIMIT %s

-- name: wake
SELECT pg_notify(%s, %s)

-- name: clock
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint

-- name: beat
UPDATE pulse SET at = now() RETURNING fault

-- A fault that was found stands until somebody looks at everything and finds none.
-- name: remember_fault
UPDATE pulse SET fault = CASE WHEN %(deep)s THEN %(fault)s ELSE coalesce(%(fault)s, fault) END RETURNING fault

-- ── a store carried elsewhere ──

-- name: every_record
SELECT {number}, doc FROM {table} ORDER BY {order}

-- name: every_fact
SELECT id, doc FROM audit ORDER BY id

-- name: every_digest
SELECT id, doc, digest FROM audit ORDER BY id

-- name: every_call
SELECT row_number() OVER (ORDER BY key), key, at FROM seen ORDER BY key

-- name: go_on_counting
SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1 + greatest(
  (SELECT coalesce(max(id), 0) FROM {table}),
  (SELECT coalesce(max((doc ->> 'last')::bigint), 0) FROM segments)), false)

-- Every running instance holds this lock together with the others, for as long as it listens.
-- name: be_an_instance
SELECT pg_try_advisory_lock_shared(hashtextextended(current_schema(), 5))

-- name: be_gone
SELECT pg_advisory_unlock_all()

-- name: keep_instances_away
SELECT pg_try_advisory_lock(hashtextextended(current_schema(), 5))

-- ── the connection and the schema ──

-- A commit is acknowledged once it is on the disk, whatever the server's default is; nothing waits without an end; and
-- what other schemas of the search_path hold is not taken for this store's.
-- name: prepare_connection
SELECT set_config('synchronous_commit',
    CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
  set_config('statement_timeout', '5s', false),
  set_config('lock_timeout', '1s', false),
  set_config('idle_in_transaction_session_timeout', '10s', false),
  CASE WHEN current_setting('idle_session_timeout', true) IS NOT NULL THEN set_config('idle_session_timeout', '0', false) END,
  set_config('search_path', coalesce(quote_ident(current_schema()), current_setting('search_path')), false)

-- name: examine_server
SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_setting('fsync'),
  current_setting('full_page_writes'), current_setting('data_checksums'), pg_is_in_recovery(), current_schema()

-- name: wait_for_migrations
SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 4))

-- name: make_migrations
CREATE TABLE IF NOT EXISTS migrations (
  number int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())

-- name: applied_migrations
SELECT coalesce(max(number), 0) FROM migrations

-- name: revisions
SELECT name, revision FROM revisions

-- name: revised
INSERT INTO revisions VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision

-- name: work_out
UPDATE {table} SET {settings} FROM unnest({arrays}) AS given ({columns}) WHERE {table}.key = given.key

-- name: add_migration
INSERT INTO migrations (number, name) VALUES (%s, %s)

-- Deletes rows of every kind, then writes all but partitions. $1 to $10 are JSON arrays.
-- jsonb_each parses an array once; json_each would have every row parsed again for each column.
-- ($n, not ?n: the driver counts the gaps that ?n leaves in one statement as parameters of the next.)
DELETE FROM topic_configs WHERE topic_id IN (SELECT value FROM jsonb_each($1));
DELETE FROM topics WHERE topic_id IN (SELECT value FROM jsonb_each($2));
DELETE FROM partitions WHERE topic_id IN (SELECT value FROM jsonb_each($3));
DELETE FROM brokers WHERE broker_id IN (SELECT value FROM jsonb_each($4));
DELETE FROM request_dedup
WHERE (principal, idempotency_key) IN (SELECT value ->> 0, value ->> 1 FROM jsonb_each($5));

INSERT INTO topics
    (topic_id, name, partition_count, replication_factor, created_at_ms, created_index)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
FROM jsonb_each($6) WHERE true
ON CONFLICT (topic_id) DO UPDATE SET
    name = excluded.name,
    partition_count = excluded.partition_count,
    replication_factor = excluded.replication_factor,
    created_at_ms = excluded.created_at_ms,
    created_index = excluded.created_index;

INSERT INTO topic_configs (topic_id, name, value)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each($7) WHERE true
ON CONFLICT (topic_id, name) DO UPDATE SET value = excluded.value;

INSERT INTO brokers
    (broker_id, broker_epoch, incarnation_id, host, port, rack, fenced, registered_at_ms, registered_index)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
       value ->> 7, value ->> 8
FROM jsonb_each($9) WHERE true
ON CONFLICT (broker_id) DO UPDATE SET
    broker_epoch = excluded.broker_epoch,
    incarnation_id = excluded.incarnation_id,
    host = excluded.host,
    port = excluded.port,
    rack = excluded.rack,
    fenced = excluded.fenced,
    registered_at_ms = excluded.registered_at_ms,
    registered_index = excluded.registered_index;

INSERT INTO request_dedup
    (principal, idempotency_key, fingerprint, entry_index, log_time_ms, outcome)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, unhex(value ->> 5)
FROM jsonb_each($10) WHERE true
ON CONFLICT (principal, idempotency_key) DO UPDATE SET
    fingerprint = excluded.fingerprint,
    entry_index = excluded.entry_index,
    log_time_ms = excluded.log_time_ms,
    outcome = excluded.outcome;

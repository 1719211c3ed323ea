//! The SQL that writes: one statement for each table, whatever the number of rows.

pub(super) const DELETE_CONFIGS: &str = "DELETE FROM topic_configs WHERE topic_id = ANY ($1)";
pub(super) const DELETE_TOPICS: &str = "DELETE FROM topics WHERE topic_id = ANY ($1)";
pub(super) const DELETE_PARTITIONS: &str = "DELETE FROM partitions WHERE topic_id = ANY ($1)";
pub(super) const DELETE_BROKERS: &str = "DELETE FROM brokers WHERE broker_id = ANY ($1)";
pub(super) const DELETE_DEDUP: &str = "
    DELETE FROM request_dedup d
    USING UNNEST($1::text[], $2::text[]) AS gone (principal, idempotency_key)
    WHERE d.principal = gone.principal AND d.idempotency_key = gone.idempotency_key";
pub(super) const PUT_TOPICS: &str = "
    INSERT INTO topics
        (topic_id, name, partition_count, replication_factor, created_at, created_index)
    SELECT id, name, partitions, factor, to_timestamp(created_at_ms / 1000.0), created_index
    FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
        AS new (id, name, partitions, factor, created_at_ms, created_index)
    ON CONFLICT (topic_id) DO UPDATE SET
        name = excluded.name,
        partition_count = excluded.partition_count,
        replication_factor = excluded.replication_factor,
        created_at = excluded.created_at,
        created_index = excluded.created_index";
pub(super) const PUT_CONFIGS: &str = "
    INSERT INTO topic_configs (topic_id, name, value)
    SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[])
    ON CONFLICT (topic_id, name) DO UPDATE SET value = excluded.value";
pub(super) const PUT_PARTITIONS: &str = "
    INSERT INTO partitions
        (topic_id, partition_id, replicas, isr, leader, leader_epoch, partition_epoch, recovering)
    SELECT topic_id, partition_id, replicas::bigint[], isr::bigint[], leader, leader_epoch, partition_epoch,
           recovering
    FROM UNNEST($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                $8::boolean[])
        AS new (topic_id, partition_id, replicas, isr, leader, leader_epoch, partition_epoch, recovering)
    ON CONFLICT (topic_id, partition_id) DO UPDATE SET
        replicas = excluded.replicas,
        isr = excluded.isr,
        leader = excluded.leader,
        leader_epoch = excluded.leader_epoch,
        partition_epoch = excluded.partition_epoch,
        recovering = excluded.recovering";
pub(super) const PUT_BROKERS: &str = "
    INSERT INTO brokers
        (broker_id, broker_epoch, incarnation_id, host, port, rack, fenced, registered_at, registered_index)
    SELECT id, epoch, incarnation, host, port, rack, fenced, to_timestamp(registered_at_ms / 1000.0),
           registered_index
    FROM UNNEST($1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::integer[], $6::text[], $7::boolean[],
                $8::bigint[], $9::bigint[])
        AS new (id, epoch, incarnation, host, port, rack, fenced, registered_at_ms, registered_index)
    ON CONFLICT (broker_id) DO UPDATE SET
        broker_epoch = excluded.broker_epoch,
        incarnation_id = excluded.incarnation_id,
        host = excluded.host,
        port = excluded.port,
        rack = excluded.rack,
        fenced = excluded.fenced,
        registered_at = excluded.registered_at,
        registered_index = excluded.registered_index";
pub(super) const PUT_DEDUP: &str = "
    INSERT INTO request_dedup
        (principal, idempotency_key, fingerprint, entry_index, log_time_ms, outcome)
    SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[])
    ON CONFLICT (principal, idempotency_key) DO UPDATE SET
        fingerprint = excluded.fingerprint,
        entry_index = excluded.entry_index,
        log_time_ms = excluded.log_time_ms,
        outcome = excluded.outcome";
/// Last statement of a transaction: moves the position, if it is still where we left it and still
/// ours.
pub(super) const ADVANCE: &str = "
    UPDATE node_meta SET
        last_applied_index = $1,
        last_applied_term = $2,
        last_config = $3,
        last_config_index = $4,
        feature_level = $5,
        log_time_ms = $6,
        state_hash = $7,
        snapshot_index = $8,
        updated_at = clock_timestamp()
    WHERE id = 1
      AND last_applied_index = coalesce($9, last_applied_index)
      AND owner_epoch = $10
      AND directory_id = $11";
/// Deletes instead of truncating: readers go on, and see the old rows until the commit.
pub(super) const DELETE_ALL: &str = "
    DELETE FROM topics;
    DELETE FROM topic_configs;
    DELETE FROM partitions;
    DELETE FROM brokers;
    DELETE FROM request_dedup";
/// Names the owner of an empty database, or raises the epoch of the one that is there.
pub(super) const CLAIM: &str = "
    INSERT INTO node_meta
        (id, cluster_id, incarnation, incarnation_nonce, node_id, directory_id, schema_version, owner_epoch,
         last_applied_index, last_applied_term, feature_level, log_time_ms, state_hash, snapshot_index)
    VALUES (1, $1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, $8, 0)
    ON CONFLICT (id) DO UPDATE SET
        schema_version = excluded.schema_version,
        owner_epoch = excluded.owner_epoch,
        updated_at = clock_timestamp()";

/// Every table and view that bears our mark, and the migrator's table. One statement, hence one
/// transaction.
pub(super) const DROP_OURS: &str = "
    DO $$
    DECLARE
        ours record;
    BEGIN
        FOR ours IN
            SELECT c.relname, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
            FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'v')
              AND (c.relname = 'dmq_migrations'
                   OR obj_description(c.oid, 'pg_class') LIKE 'DMQ Metadata:%')
        LOOP
            EXECUTE format('DROP %s IF EXISTS %I.%I CASCADE', ours.kind, current_schema(), ours.relname);
        END LOOP;
    END
    $$";

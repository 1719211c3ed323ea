-- The projection of the metadata image: what people and tools read, and what nothing decides from.
-- Keys compare byte by byte (COLLATE "C"), so that every node sorts alike whatever its locale is.
-- Numbers that are unsigned 32-bit in the image are bigint: integer would refuse their upper half.
-- There are no foreign keys: the image keeps its rows consistent, and a check per row would cost as much as the row.

CREATE TABLE node_meta (
    id                 integer PRIMARY KEY CHECK (id = 1),
    cluster_id         text COLLATE "C" NOT NULL,
    incarnation        bigint NOT NULL,
    incarnation_nonce  text COLLATE "C" NOT NULL CHECK (length(incarnation_nonce) = 16),
    node_id            bigint NOT NULL,
    directory_id       uuid NOT NULL,
    schema_version     integer NOT NULL,
    owner_epoch        bigint NOT NULL,
    last_applied_index bigint NOT NULL,
    last_applied_term  bigint NOT NULL,
    last_config        bytea,
    last_config_index  bigint,
    feature_level      bigint NOT NULL,
    log_time_ms        bigint NOT NULL,
    state_hash         text COLLATE "C" NOT NULL CHECK (length(state_hash) = 32),
    snapshot_index     bigint NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10);

CREATE TABLE topics (
    topic_id           uuid PRIMARY KEY,
    name               text COLLATE "C" NOT NULL UNIQUE,
    partition_count    bigint NOT NULL CHECK (partition_count > 0),
    replication_factor bigint NOT NULL CHECK (replication_factor > 0),
    created_at         timestamptz NOT NULL,
    created_index      bigint NOT NULL
);

CREATE TABLE topic_configs (
    topic_id uuid NOT NULL,
    name     text COLLATE "C" NOT NULL,
    value    text COLLATE "C" NOT NULL,
    PRIMARY KEY (topic_id, name)
);

-- Space is left in every page, and no index holds a column that changes: updates stay within their page (HOT).
CREATE TABLE partitions (
    topic_id        uuid NOT NULL,
    partition_id    bigint NOT NULL,
    replicas        bigint[] NOT NULL CHECK (cardinality(replicas) > 0),
    isr             bigint[] NOT NULL,
    leader          bigint,
    leader_epoch    bigint NOT NULL,
    partition_epoch bigint NOT NULL,
    recovering      boolean NOT NULL,
    PRIMARY KEY (topic_id, partition_id)
) WITH (fillfactor = 75);

CREATE TABLE brokers (
    broker_id        bigint PRIMARY KEY,
    broker_epoch     bigint NOT NULL,
    incarnation_id   uuid,
    host             text COLLATE "C" NOT NULL,
    port             integer NOT NULL CHECK (port BETWEEN 0 AND 65535),
    rack             text COLLATE "C",
    fenced           boolean NOT NULL,
    registered_at    timestamptz NOT NULL,
    registered_index bigint NOT NULL
) WITH (fillfactor = 75);

CREATE TABLE request_dedup (
    principal       text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    fingerprint     text COLLATE "C" NOT NULL CHECK (length(fingerprint) = 32),
    entry_index     bigint NOT NULL,
    log_time_ms     bigint NOT NULL,
    outcome         bytea NOT NULL,
    PRIMARY KEY (principal, idempotency_key)
);

CREATE VIEW partition_overview AS
SELECT t.name AS topic,
       p.partition_id,
       p.leader,
       p.leader_epoch,
       p.replicas,
       p.isr,
       p.partition_epoch,
       p.leader IS NULL AS offline,
       cardinality(p.isr) < cardinality(p.replicas) AS under_replicated,
       p.recovering
FROM partitions p
JOIN topics t USING (topic_id);

CREATE VIEW topic_overview AS
SELECT t.name AS topic,
       t.topic_id,
       t.partition_count,
       t.replication_factor,
       count(p.topic_id) FILTER (WHERE p.leader IS NULL) AS offline_partitions,
       count(p.topic_id) FILTER (WHERE cardinality(p.isr) < cardinality(p.replicas))
           AS under_replicated_partitions,
       t.created_at
FROM topics t
LEFT JOIN partitions p USING (topic_id)
GROUP BY t.topic_id;

CREATE VIEW broker_overview AS
SELECT b.broker_id,
       b.host,
       b.port,
       b.rack,
       b.fenced,
       (SELECT count(*) FROM partitions p WHERE p.leader = b.broker_id) AS leading_partitions,
       (SELECT count(*) FROM partitions p WHERE b.broker_id = ANY (p.replicas)) AS replicas,
       b.registered_at
FROM brokers b;

-- The comments also mark the tables as ours: only marked ones are ever dropped.
COMMENT ON TABLE node_meta IS 'DMQ Metadata: whose projection this is and which log position it shows';
COMMENT ON TABLE topics IS 'DMQ Metadata: one row per topic';
COMMENT ON TABLE topic_configs IS 'DMQ Metadata: topic settings that differ from the defaults';
COMMENT ON TABLE partitions IS 'DMQ Metadata: replicas, in-sync replicas and leader of every partition';
COMMENT ON TABLE brokers IS 'DMQ Metadata: registered brokers';
COMMENT ON TABLE request_dedup IS 'DMQ Metadata: answers remembered for idempotency keys';
COMMENT ON VIEW partition_overview IS 'DMQ Metadata: partitions with the names of their topics';
COMMENT ON VIEW topic_overview IS 'DMQ Metadata: topics with counts of partitions in trouble';
COMMENT ON VIEW broker_overview IS 'DMQ Metadata: brokers with what they lead and hold';

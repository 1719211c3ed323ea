-- The projection of the metadata image: what people and tools read, and what nothing decides from.
-- UUIDs and hashes are text, lists are JSON arrays, times are milliseconds since 1970 (the views show them as text).
-- Text keys compare byte by byte (BINARY, the default).

-- "DMQM": marks the file as ours.
PRAGMA application_id = 1145917773;

CREATE TABLE node_meta (
    id                 INTEGER PRIMARY KEY CHECK (id = 1),
    cluster_id         TEXT NOT NULL,
    incarnation        INTEGER NOT NULL,
    incarnation_nonce  TEXT NOT NULL CHECK (length(incarnation_nonce) = 16),
    node_id            INTEGER NOT NULL,
    directory_id       TEXT NOT NULL,
    schema_version     INTEGER NOT NULL,
    owner_epoch        INTEGER NOT NULL,
    last_applied_index INTEGER NOT NULL,
    last_applied_term  INTEGER NOT NULL,
    last_config        BLOB,
    last_config_index  INTEGER,
    feature_level      INTEGER NOT NULL,
    log_time_ms        INTEGER NOT NULL,
    state_hash         TEXT NOT NULL CHECK (length(state_hash) = 32),
    snapshot_index     INTEGER NOT NULL,
    updated_at         TEXT NOT NULL
) STRICT;

CREATE TABLE topics (
    topic_id           TEXT NOT NULL PRIMARY KEY,
    name               TEXT NOT NULL UNIQUE,
    partition_count    INTEGER NOT NULL CHECK (partition_count > 0),
    replication_factor INTEGER NOT NULL CHECK (replication_factor > 0),
    created_at_ms      INTEGER NOT NULL,
    created_index      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE topic_configs (
    topic_id TEXT NOT NULL,
    name     TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (topic_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE partitions (
    topic_id        TEXT NOT NULL,
    partition_id    INTEGER NOT NULL,
    replicas        TEXT NOT NULL CHECK (replicas <> '[]'),
    isr             TEXT NOT NULL,
    leader          INTEGER,
    leader_epoch    INTEGER NOT NULL,
    partition_epoch INTEGER NOT NULL,
    recovering      INTEGER NOT NULL CHECK (recovering IN (0, 1)),
    PRIMARY KEY (topic_id, partition_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE brokers (
    broker_id        INTEGER PRIMARY KEY,
    broker_epoch     INTEGER NOT NULL,
    incarnation_id   TEXT,
    host             TEXT NOT NULL,
    port             INTEGER NOT NULL CHECK (port BETWEEN 0 AND 65535),
    rack             TEXT,
    fenced           INTEGER NOT NULL CHECK (fenced IN (0, 1)),
    registered_at_ms INTEGER NOT NULL,
    registered_index INTEGER NOT NULL
) STRICT;

CREATE TABLE request_dedup (
    principal       TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint     TEXT NOT NULL CHECK (length(fingerprint) = 32),
    entry_index     INTEGER NOT NULL,
    log_time_ms     INTEGER NOT NULL,
    outcome         BLOB NOT NULL,
    PRIMARY KEY (principal, idempotency_key)
) STRICT, WITHOUT ROWID;

CREATE VIEW partition_overview AS
SELECT t.name AS topic,
       p.partition_id,
       p.leader,
       p.leader_epoch,
       p.replicas,
       p.isr,
       p.partition_epoch,
       p.leader IS NULL AS offline,
       json_array_length(p.isr) < json_array_length(p.replicas) AS under_replicated,
       p.recovering
FROM partitions p
JOIN topics t USING (topic_id);

CREATE VIEW topic_overview AS
SELECT t.name AS topic,
       t.topic_id,
       t.partition_count,
       t.replication_factor,
       count(p.topic_id) FILTER (WHERE p.leader IS NULL) AS offline_partitions,
       count(p.topic_id) FILTER (WHERE json_array_length(p.isr) < json_array_length(p.replicas))
           AS under_replicated_partitions,
       datetime(t.created_at_ms / 1000, 'unixepoch') AS created_at
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
       (SELECT count(*) FROM partitions p
        WHERE EXISTS (SELECT 1 FROM json_each(p.replicas) r WHERE r.value = b.broker_id)) AS replicas,
       datetime(b.registered_at_ms / 1000, 'unixepoch') AS registered_at
FROM brokers b;

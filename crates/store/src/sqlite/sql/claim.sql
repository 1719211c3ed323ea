-- Names the owner of an empty database, or raises the epoch of the one that is there.
INSERT INTO node_meta
    (id, cluster_id, incarnation, incarnation_nonce, node_id, directory_id, schema_version, owner_epoch,
     last_applied_index, last_applied_term, feature_level, log_time_ms, state_hash, snapshot_index, updated_at)
VALUES (1, $1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, $8, 0, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
ON CONFLICT (id) DO UPDATE SET
    schema_version = excluded.schema_version,
    owner_epoch = excluded.owner_epoch,
    updated_at = excluded.updated_at;

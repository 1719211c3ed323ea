-- The last statement of a transaction: moves the position, if it is still where we left it and still ours.
UPDATE node_meta SET
    last_applied_index = $11,
    last_applied_term = $12,
    last_config = $13,
    last_config_index = $14,
    feature_level = $15,
    log_time_ms = $16,
    state_hash = $17,
    snapshot_index = $18,
    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE id = 1
  AND last_applied_index = coalesce($19, last_applied_index)
  AND owner_epoch = $20
  AND directory_id = $21
RETURNING id;

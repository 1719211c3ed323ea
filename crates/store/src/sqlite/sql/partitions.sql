-- Writes partitions. $8 is a JSON array.
INSERT INTO partitions
    (topic_id, partition_id, replicas, isr, leader, leader_epoch, partition_epoch, recovering)
SELECT value ->> 0, value ->> 1, value -> 2, value -> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
FROM jsonb_each($8) WHERE true
ON CONFLICT (topic_id, partition_id) DO UPDATE SET
    replicas = excluded.replicas,
    isr = excluded.isr,
    leader = excluded.leader,
    leader_epoch = excluded.leader_epoch,
    partition_epoch = excluded.partition_epoch,
    recovering = excluded.recovering;


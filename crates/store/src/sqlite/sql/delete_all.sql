DELETE FROM topics;
DELETE FROM topic_configs;
DELETE FROM partitions;
DELETE FROM brokers;
DELETE FROM request_dedup;

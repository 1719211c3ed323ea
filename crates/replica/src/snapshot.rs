//! Images to snapshot files and back: the container is the log's, the content the metadata's.

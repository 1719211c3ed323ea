//! The status and the Events, sentence by sentence.

//! The closed list of metric names.
//!
//! A name is `flitch_<what>_<unit>`, counters end in `_total`, and durations are in seconds.

use metrics::{Key, Label, Level, Metadata};

use super::Shown;
use super::shown::Together;

macro_rules! metrics_list {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Every metric that flitch exports.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric { $($(#[doc = $doc])+ $variant,)+ }

        impl Metric {
            /// All of them.
            pub const ALL: &[Metric] = &[$(Metric::$variant,)+];

            /// The exported name.
            pub const fn name(self) -> &'static str {
                match self { $(Metric::$variant => $name,)+ }
            }

            /// What it counts, as `# HELP` says it.
            pub fn help(self) -> &'static str {
                match self { $(Metric::$variant => concat!($($doc,)+).trim_ascii_start(),)+ }
            }
        }
    };
}

metrics_list! {
    /// Records taken in, by source; those sent again count again.
    RecordsReceived = "flitch_records_received_total",
    /// Bytes taken in, by source, as they came.
    BytesReceived = "flitch_bytes_received_total",
    /// Records added on the way, by source: copies for one more output, records that a filter split.
    RecordsCopied = "flitch_records_copied_total",
    /// Records that an output took.
    RecordsDelivered = "flitch_records_delivered_total",
    /// Bytes that an output took, as encoded.
    BytesDelivered = "flitch_bytes_delivered_total",
    /// Records dropped on purpose, by filter or by route.
    RecordsDropped = "flitch_records_dropped_total",
    /// Bytes dropped on purpose, as they stood in memory.
    BytesDropped = "flitch_bytes_dropped_total",
    /// Records put among the dead letters, by stage and component.
    RecordsDeadLettered = "flitch_records_dead_lettered_total",
    /// Bytes put among the dead letters.
    BytesDeadLettered = "flitch_bytes_dead_lettered_total",
    /// Dead letters that were deleted since there was no room for newer ones; their records are lost.
    LettersDeleted = "flitch_dead_letters_deleted_total",
    /// 1 while records of a component wait since dead letters cannot be written, else 0.
    LettersFailing = "flitch_dead_letters_failing",
    /// Records handed back to their source to be sent again.
    RecordsReturned = "flitch_records_returned_total",
    /// Records put into buffers that keep them beyond the process, by source.
    RecordsStored = "flitch_records_stored_total",
    /// Records given out by buffers that keep them, by source, those that an earlier process put in included.
    RecordsRestored = "flitch_records_restored_total",
    /// Records on their way, by source.
    RecordsInFlight = "flitch_records_in_flight",
    /// Bytes of records that wait in the buffer of an output.
    BufferBytes = "flitch_buffer_bytes",
    /// Records that wait in the buffer of an output.
    BufferRecords = "flitch_buffer_records",
    /// Files of frames of a buffer on disk.
    BufferSegments = "flitch_buffer_segments",
    /// Bytes of these files, those of records that were delivered included.
    BufferFileBytes = "flitch_buffer_file_bytes",
    /// How long ago the oldest record was stored that waits in a buffer on disk.
    BufferOldestSeconds = "flitch_buffer_oldest_seconds",
    /// Frames of a buffer on disk that could not be read and were put aside, by output.
    BufferParked = "flitch_buffer_parked_frames_total",
    /// Time that a sync of a buffer on disk took.
    BufferSyncSeconds = "flitch_buffer_sync_seconds",
    /// 1 while the disk of a buffer takes nothing, else 0.
    BufferFailing = "flitch_buffer_failing",
    /// Bytes of records that are gathered for an output, in memory or on its disk, and not written yet.
    ParcelBytes = "flitch_parcel_bytes",
    /// Records handed to a filter; those of a batch that was halved to find a poison record count again.
    FilterRecordsIn = "flitch_filter_records_in_total",
    /// Bytes that crossed the border into a filter.
    FilterBytesIn = "flitch_filter_bytes_in_total",
    /// Records that a filter let go on.
    FilterRecordsOut = "flitch_filter_records_out_total",
    /// Bytes that crossed the border out of a filter.
    FilterBytesOut = "flitch_filter_bytes_out_total",
    /// Records that a filter rejected, or that its plugin could not survive.
    FilterRecordsRejected = "flitch_filter_records_rejected_total",
    /// Instances of a filter thrown away, by kind: trap, deadline, memory, answer, start.
    FilterTraps = "flitch_filter_traps_total",
    /// Seconds that a filter's plugin ran, over all workers.
    FilterRunSeconds = "flitch_filter_run_seconds_total",
    /// Bytes of memory that a filter's instances take.
    FilterMemoryBytes = "flitch_filter_memory_bytes",
    /// Instances of a filter.
    FilterInstances = "flitch_filter_instances",
    /// What a filter's plugin counts itself, by its name for it.
    FilterCounter = "flitch_filter_counter_total",
    /// New generations of a filter, by result: swapped, failed, rolled_back.
    FilterSwaps = "flitch_filter_swaps_total",
    /// Records that a generation of a filter had rejected, and that were run again through the one before it.
    FilterRecordsRunAgain = "flitch_filter_records_run_again_total",
    /// Time for which a worker was held up between two batches while it took other filters.
    FilterSwapPause = "flitch_filter_swap_pause_seconds",
    /// Requests for tables that servers have, by table and result: changed, unchanged, failed.
    TableFetches = "flitch_table_fetches_total",
    /// When a server last said what is in a table, in seconds since 1970.
    TableFetched = "flitch_table_fetched_seconds",
    /// States of a filter's instances, by result: saved, failed (the instance could not say it, and is gone), unwritten
    /// (the disk did not take it).
    FilterStateSaves = "flitch_filter_state_saves_total",
    /// States that were handed to new instances of a filter, by result: restored, and refused, failed or unreadable, with
    /// which the filter begins empty.
    FilterStateRestores = "flitch_filter_state_restores_total",
    /// Bytes of what is kept of a filter's instances on disk.
    FilterStateBytes = "flitch_filter_state_bytes",
    /// Records that the shadow of a filter was to judge too, by result: same, different, skipped (it was behind).
    FilterShadowRecords = "flitch_filter_shadow_records_total",
    /// Plugins that registries were asked for, by registry and result: pulled, unchanged, refused (it may not run), failed.
    PluginPulls = "flitch_plugin_pulls_total",
    /// Values of text that were not UTF-8 and were mended, by source.
    InvalidUtf8 = "flitch_invalid_utf8_total",
    /// Values of `@timestamp` that were no time and of `@tag` that were no text, and went to `_@timestamp` or `_@tag`, by
    /// source.
    MisnamedValues = "flitch_misnamed_values_total",
    /// Bytes of NULs before lines of files that were skipped, by source.
    FileNulBytes = "flitch_file_nul_bytes_total",
    /// Times that a listener could not take a connection, mostly since no file descriptor was free.
    AcceptErrors = "flitch_accept_errors_total",
    /// Connections that a listener closed because the client said nothing in time (silent), or because it rested while
    /// another waited (room).
    ConnectionsLetGo = "flitch_connections_let_go_total",
    /// Requests answered, by HTTP source and status.
    HttpAnswers = "flitch_http_answers_total",
    /// Files that a source holds open.
    FilesOpen = "flitch_files_open",
    /// Bytes of known files that are not read yet, by source.
    FileBytesBehind = "flitch_file_behind_bytes",
    /// Time that an output took to answer a write.
    WriteSeconds = "flitch_write_seconds",
    /// Writes that were repeated, by output.
    WriteRetries = "flitch_write_retries_total",
    /// Writes that failed, by output and kind: busy, unreachable, denied, poison.
    WriteErrors = "flitch_write_errors_total",
    /// Times that an output could not build an object on its disk, by output and kind: disk (it is tried again), lost (its
    /// records are sent again by their sources).
    StagingFailures = "flitch_staging_failures_total",
    /// Documents that an Elasticsearch had already when a record came for them: by a retry or a replay, or since records
    /// have one id. They stay as they are.
    DocumentsThere = "flitch_documents_already_there_total",
    /// Documents that a data stream of Elasticsearch has refused and keeps in its failure store, where searches do not find
    /// them.
    DocumentsAside = "flitch_documents_in_failure_store_total",
    /// 1 while an output lets only one write at a time probe its destination, else 0.
    BreakerOpen = "flitch_breaker_open",
    /// 1 while a server of an output takes what it is sent, 0 while it rests after a failure.
    OutputServerUp = "flitch_output_server_up",
    /// Times that a part (source, worker, output, listener, sync and compress of an output's files, buffer, disk of a buffer, dead letters, log, clock, refresh of tables) ended or panicked unasked, by part and name.
    PartFailures = "flitch_part_failures_total",
    /// Panics, of whatever task or thread: each is a fault of flitch, and costs no more than a duplicate.
    Panics = "flitch_panics_total",
    /// Lines of flitch's own log that stderr did not take, or not soon enough.
    LogLinesLost = "flitch_log_lines_lost_total",
    /// Messages of a partition that are written and not safe yet, by source, topic and partition; 0 where another member of
    /// the group has it.
    KafkaLag = "flitch_kafka_lag_messages",
    /// Longest time, in seconds, that brokers held back a request of an output or a source lately (throttling).
    KafkaThrottle = "flitch_kafka_throttle_seconds",
    /// Times that partitions were given to a source by its consumer group, or taken from it.
    KafkaRebalances = "flitch_kafka_rebalances_total",
    /// Messages without a value that a source has passed over.
    KafkaTombstones = "flitch_kafka_tombstones_total",
    /// Messages that brokers have deleted before a source could read them.
    KafkaOverrun = "flitch_kafka_overrun_messages_total",
    /// Times that a partition ended before the position of a source, which went back to what there is.
    KafkaResets = "flitch_kafka_resets_total",
    /// Records that `multiline` of a source ended before their next line could come, since there was no room for more of them.
    MultilineCut = "flitch_multiline_cut_total",
    /// Connections of forward clients that are open, by source.
    ForwardConnections = "flitch_forward_connections",
    /// Chunks that a forward source has answered as safe.
    ForwardAcks = "flitch_forward_acks_total",
    /// Chunks that came again to a forward source and were not taken again.
    ForwardDuplicates = "flitch_forward_duplicates_total",
    /// Pieces of Docker's long lines that did not come to a forward source, or came twice, by source and fault.
    ForwardOddPieces = "flitch_forward_odd_pieces_total",
    /// Connections that a forward source closed because the client broke the protocol.
    ForwardBroken = "flitch_forward_broken_connections_total",
    /// Connections that a forward source refused: the TLS or the shared-key handshake failed.
    ForwardRefused = "flitch_forward_refused_connections_total",
    /// 1 while there is a connection to the server that manages flitch, else 0.
    ManagerConnected = "flitch_manager_connected",
    /// Configurations of the server that manages flitch, by result: applied, refused, reverted.
    ManagedConfigs = "flitch_managed_configs_total",
}

/// What the numbers of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Counts up from the start of the process on.
    Counter,
    /// What is now.
    Gauge,
    /// How often something took how long.
    Histogram,
}

pub(super) static METADATA: Metadata<'static> = Metadata::new("flitch", Level::INFO, None);

fn key(metric: Metric, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(k, v)| Label::new(*k, (*v).to_owned())).collect();
    Key::from_parts(metric.name(), labels)
}

impl Metric {
    /// What its numbers are.
    pub fn kind(self) -> Kind {
        match self {
            Metric::BufferSyncSeconds | Metric::FilterSwapPause | Metric::WriteSeconds => Kind::Histogram,
            _ if self.name().ends_with("_total") => Kind::Counter,
            _ => Kind::Gauge,
        }
    }

    /// The counter under these labels.
    pub fn counter(self, labels: &[(&'static str, &str)]) -> metrics::Counter {
        debug_assert!(self.kind() == Kind::Counter && !self.counts_fractions(), "{}", self.name());
        metrics::with_recorder(|r| r.register_counter(&key(self, labels), &METADATA))
    }

    /// Whether it counts what is no whole number. Those who record metrics have counters of whole numbers alone, so that they hold it
    /// as a gauge; whoever writes it calls it what it is.
    pub fn counts_fractions(self) -> bool {
        self == Metric::FilterRunSeconds
    }

    /// The counter under these labels, which counts fractions; it is only ever added to.
    pub fn fractions(self, labels: &[(&'static str, &str)]) -> metrics::Gauge {
        debug_assert!(self.counts_fractions(), "{}", self.name());
        metrics::with_recorder(|r| r.register_gauge(&key(self, labels), &METADATA))
    }

    /// The gauge under these labels.
    pub fn gauge(self, labels: &[(&'static str, &str)]) -> metrics::Gauge {
        debug_assert_eq!(self.kind(), Kind::Gauge, "{}", self.name());
        metrics::with_recorder(|r| r.register_gauge(&key(self, labels), &METADATA))
    }

    /// A part's share in the gauge under these labels; of several the gauge has the sum.
    pub fn shown(self, labels: &[(&'static str, &str)]) -> Shown {
        debug_assert_eq!(self.kind(), Kind::Gauge, "{}", self.name());
        Shown::new(key(self, labels), Together::Sum)
    }

    /// The same of what has no sum, a time or a yes: of several shares the gauge has the greatest.
    pub fn shown_most(self, labels: &[(&'static str, &str)]) -> Shown {
        debug_assert_eq!(self.kind(), Kind::Gauge, "{}", self.name());
        Shown::new(key(self, labels), Together::Most)
    }

    /// The histogram under these labels.
    pub fn histogram(self, labels: &[(&'static str, &str)]) -> metrics::Histogram {
        debug_assert_eq!(self.kind(), Kind::Histogram, "{}", self.name());
        metrics::with_recorder(|r| r.register_histogram(&key(self, labels), &METADATA))
    }
}

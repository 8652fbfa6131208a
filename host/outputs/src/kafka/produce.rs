//! The only code that calls librdkafka directly: whole batches into its queues, without a copy and without a future per
//! record.
//!
//! `rd_kafka_produce_batch` takes an array of messages whose payloads point into the batch's one encoded text. Tried
//! against one `rd_kafka_producev` per record: 550 ns of CPU per record of 250 bytes instead of 750 to 990.
//!
//! # Why this is sound
//!
//! - librdkafka reads a payload until it makes the delivery report of its message, so the text must live that long. A
//!   [`Shipment`] owns the text, and holds one strong count on itself from [`Shipment::new`] until its last record is
//!   settled. A record is settled once: by its delivery report ([`Row::settle`]) or, if librdkafka never took it, by
//!   [`Shipment::withdraw`]. A write that is given up (its future dropped) therefore frees nothing too early.
//! - Every message carries a pointer to its [`Slot`], which tells the shipment and the row. Slots lie in the shipment, in
//!   a box that is never resized, and so live as long as the shipment does.
//! - A shipment whose reports never come (the client is destroyed with messages inside) is leaked, never freed. rdkafka
//!   purges a producer before it destroys it, so that the reports do come.
//! - A [`Topic`] keeps the producer it belongs to, so that the handle is destroyed before the client.

use std::ffi::{CString, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use parking_lot::Mutex;
use rdkafka::bindings as ffi;
use rdkafka::producer::{PARTITION_UA, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::IntoOpaque;
use tokio::sync::Notify;

use super::context::Context;
use flitch_core::batch::Encoded;
use flitch_core::batch::template::Rendered;

/// Records of a batch on their way through librdkafka.
pub(super) struct Shipment {
    text: Arc<Encoded>,
    slots: Box<[Slot]>,
    /// Records that are not settled. At 0 the shipment gives up the strong count that it holds on itself.
    left: AtomicUsize,
    failed: Mutex<Vec<(u32, RDKafkaErrorCode)>>,
    done: Notify,
}

struct Slot {
    shipment: *const Shipment,
    row: u32,
}

// SAFETY: a slot is never changed after it is made, and what it points to is `Sync` (a mutex, atomics, a `Notify`).
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Shipment {
    /// A shipment of `count` (not 0) of the rows of `text`. Each must be settled or withdrawn.
    pub fn new(text: Arc<Encoded>, count: usize) -> Arc<Shipment> {
        assert!(count > 0, "an empty shipment would never be freed");
        let shipment = Arc::new_cyclic(|weak| {
            let shipment = weak.as_ptr();
            let slots = (0..text.ends.len() as u32).map(|row| Slot { shipment, row }).collect();
            let (failed, done) = (Mutex::default(), Notify::new());
            Shipment { text, slots, left: AtomicUsize::new(count), failed, done }
        });
        std::mem::forget(shipment.clone());
        shipment
    }

    /// The value of a record, without what ends it in a file.
    pub fn value(&self, row: u32) -> &[u8] {
        self.text.value(row as usize)
    }

    /// What a message of this row carries through librdkafka.
    pub fn row(&self, row: u32) -> Row {
        Row(&self.slots[row as usize])
    }

    /// Takes back `count` records that librdkafka never took.
    pub fn withdraw(self: &Arc<Self>, count: usize) {
        // SAFETY: `self` is alive, and the records were never handed to anybody else who could settle them.
        unsafe { settle(Arc::as_ptr(self), count) }
    }

    /// Waits until every record is settled.
    pub async fn settled(&self) {
        while self.left.load(Ordering::Acquire) > 0 {
            self.done.notified().await;
        }
    }

    /// The rows that failed, in no order.
    pub fn take_failed(&self) -> Vec<(u32, RDKafkaErrorCode)> {
        std::mem::take(&mut *self.failed.lock())
    }
}

/// Settles `count` records of a shipment.
///
/// # Safety
/// The shipment is alive and at least `count` of its records are not settled.
unsafe fn settle(shipment: *const Shipment, count: usize) {
    if count == 0 {
        return;
    }
    // SAFETY: unsettled records keep the shipment's own strong count, so it is alive here.
    let alive = unsafe { &*shipment };
    // `alive` must not be touched after this line unless it was the last record: another thread may free it.
    if alive.left.fetch_sub(count, Ordering::Release) == count {
        fence(Ordering::Acquire);
        // SAFETY: takes over the strong count that `new` forgot, which exactly the last settlement does.
        let own = unsafe { Arc::from_raw(shipment) };
        own.done.notify_one();
    }
}

/// A record on its way through librdkafka, to be settled once.
pub(super) struct Row(*const Slot);

// SAFETY: points to a slot, which may be read from any thread.
unsafe impl Send for Row {}
// SAFETY: as above.
unsafe impl Sync for Row {}

impl IntoOpaque for Row {
    fn into_ptr(self) -> *mut c_void {
        self.0 as *mut c_void
    }

    unsafe fn from_ptr(pointer: *mut c_void) -> Row {
        Row(pointer as *const Slot)
    }
}

impl Row {
    /// Enters what the delivery report says.
    pub fn settle(self, failed: Option<RDKafkaErrorCode>) {
        // SAFETY: the row is not settled, so the shipment and its slots are alive.
        let slot = unsafe { &*self.0 };
        if let Some(code) = failed {
            // SAFETY: as above.
            unsafe { &*slot.shipment }.failed.lock().push((slot.row, code));
        }
        // SAFETY: as above; `self` is used up.
        unsafe { settle(slot.shipment, 1) }
    }
}

/// A topic of one producer.
pub(super) struct Topic {
    handle: *mut ffi::rd_kafka_topic_t,
    _producer: Arc<ThreadedProducer<Context>>,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for Topic {}
// SAFETY: as above.
unsafe impl Sync for Topic {}

impl Topic {
    /// The topic of this name; an error where librdkafka takes no topic of that name.
    pub fn new(producer: &Arc<ThreadedProducer<Context>>, name: &str) -> Result<Topic, RDKafkaErrorCode> {
        let name = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: the client is alive, `name` ends in NUL, and no configuration means the producer's default.
        let handle = unsafe {
            ffi::rd_kafka_topic_new(producer.client().native_ptr(), name.as_ptr(), ptr::null_mut())
        };
        if handle.is_null() {
            // SAFETY: reads a variable of this thread.
            return Err(unsafe { ffi::rd_kafka_last_error() }.into());
        }
        Ok(Topic { handle, _producer: producer.clone() })
    }

    /// Puts rows of a shipment into librdkafka's queues. Answers the rows that it did not take, with the reason, in the
    /// order of `rows`: they are not settled.
    pub fn produce(
        &self,
        shipment: &Arc<Shipment>,
        rows: &[u32],
        keys: Option<&Rendered>,
    ) -> Vec<(u32, RDKafkaErrorCode)> {
        let message = |&row: &u32| {
            let value = shipment.value(row);
            let key = keys.and_then(|k| k.row(row as usize));
            ffi::rd_kafka_message_t {
                err: ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
                rkt: ptr::null_mut(),
                partition: PARTITION_UA,
                payload: value.as_ptr() as *mut c_void,
                len: value.len(),
                key: key.map_or(ptr::null_mut(), |k| k.as_ptr() as *mut c_void),
                key_len: key.map_or(0, <[u8]>::len),
                offset: 0,
                _private: shipment.row(row).into_ptr(),
            }
        };
        let mut messages: Vec<_> = rows.iter().map(message).collect();
        // SAFETY: the handle is alive; the messages are valid for the call; the values live until their delivery reports
        // (see the module's text), and librdkafka never writes to them; it copies the keys (`rd_kafka_msg_new00`).
        let taken = unsafe {
            ffi::rd_kafka_produce_batch(
                self.handle,
                PARTITION_UA,
                0,
                messages.as_mut_ptr(),
                messages.len() as i32,
            )
        };
        if taken as usize == rows.len() {
            return Vec::new();
        }
        let failed =
            |m: &ffi::rd_kafka_message_t| m.err != ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        let both = rows.iter().zip(&messages).filter(|(_, m)| failed(m));
        both.map(|(&row, m)| (row, m.err.into())).collect()
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_topic_new`, and the producer is alive.
        unsafe { ffi::rd_kafka_topic_destroy(self.handle) }
    }
}

/// Makes a producer fail for good.
#[cfg(test)]
pub(super) fn fail_for_good(producer: &ThreadedProducer<Context>) {
    let code = ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    // SAFETY: the client is alive, and the text ends in NUL.
    unsafe { ffi::rd_kafka_test_fatal_error(producer.client().native_ptr(), code, c"test".as_ptr()) };
}

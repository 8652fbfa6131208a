//! The only code of the source that calls librdkafka directly: many messages at a time, without a copy and without a
//! future for each.
//!
//! The partitions' own queues are forwarded to one queue of ours, so that messages come out of it by
//! `rd_kafka_consume_batch_queue`, and what the client tells (rebalances, errors) by the consumer's own.
//!
//! # Why this is sound
//!
//! - A [`Queue`] keeps its consumer, so that its handle and all [`Message`]s, which borrow from it, are gone before the
//!   client is destroyed.
//! - librdkafka calls [`rung`] with the queue's lock held, and takes that lock to put another callback in its place, so that
//!   the bell outlives every call: `drop` takes the callback back first.
//! - What keeps a [`Message`] beside the queue is gone before it, too: the fields of the reader are dropped in their order.
//! - A message is destroyed once, by the drop of its [`Message`]; the pieces that it lends borrow from it.

use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::bindings as ffi;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;

use super::context::Context;
use crate::bell::{Bell, Hint};

/// Most messages that are taken at a time.
const MOST: usize = 1024;
/// How many messages before its turn the value of one is fetched into the processor's cache: another thread has written it.
const AHEAD: usize = 4;

/// Messages of all partitions, those of each in their order.
pub(super) struct Queue {
    messages: NonNull<ffi::rd_kafka_queue_t>,
    /// Where the client tells what else there is.
    events: NonNull<ffi::rd_kafka_queue_t>,
    /// What was taken out and not handed on yet.
    taken: Vec<*mut ffi::rd_kafka_message_t>,
    next: usize,
    bell: Arc<Bell>,
    consumer: Arc<BaseConsumer<Context>>,
}

// SAFETY: librdkafka's handles may be used from any thread, and the messages belong to the queue alone.
unsafe impl Send for Queue {}

/// Rings the bell that `bell` points to.
unsafe extern "C" fn rung(_: *mut ffi::rd_kafka_t, bell: *mut c_void) {
    // SAFETY: the queue that keeps the bell has not taken the callback back.
    unsafe { &*bell.cast::<Bell>() }.ring(Hint::News);
}

impl Queue {
    /// A queue of this consumer's. Whatever comes to it or to the consumer itself rings the bell.
    pub fn new(consumer: &Arc<BaseConsumer<Context>>, bell: &Arc<Bell>) -> Queue {
        let client = consumer.client().native_ptr();
        // SAFETY: the client is alive. Both answer a handle of ours, and never null for a member of a group.
        let queues = unsafe { (ffi::rd_kafka_queue_new(client), ffi::rd_kafka_queue_get_consumer(client)) };
        let handle = |queue| NonNull::new(queue).expect("a client with a group has queues");
        let (messages, events) = (handle(queues.0), handle(queues.1));
        let pointer = Arc::as_ptr(bell).cast_mut().cast::<c_void>();
        for queue in [messages, events] {
            // SAFETY: the bell is kept until `drop` has taken the callback back.
            unsafe { ffi::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(rung), pointer) };
        }
        let (bell, consumer) = (bell.clone(), consumer.clone());
        Queue { messages, events, taken: Vec::with_capacity(MOST), next: 0, bell, consumer }
    }

    /// Has the messages of a partition come here. To be called before the partition is assigned: what came before goes to
    /// the consumer itself.
    pub fn forward(&self, topic: &str, partition: i32) -> anyhow::Result<()> {
        let topic = CString::new(topic)?;
        // SAFETY: the client is alive and the name ends in NUL. The handle is ours, and its queue lives on without it.
        unsafe {
            let client = self.consumer.client().native_ptr();
            let queue = ffi::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            anyhow::ensure!(!queue.is_null(), "librdkafka has no queue for {topic:?} {partition}");
            ffi::rd_kafka_queue_forward(queue, self.messages.as_ptr());
            ffi::rd_kafka_queue_destroy(queue);
        }
        Ok(())
    }

    /// The id of the cluster; none where its brokers tell none.
    pub fn cluster(&self) -> Option<String> {
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client is alive; what it answers is ours, ends in NUL, and is given back once.
        unsafe {
            let id = NonNull::new(ffi::rd_kafka_clusterid(client, 0))?;
            let text = CStr::from_ptr(id.as_ptr()).to_string_lossy().into_owned();
            ffi::rd_kafka_mem_free(client, id.as_ptr().cast());
            Some(text).filter(|text| !text.is_empty())
        }
    }

    /// Whether the client has something to tell.
    pub fn has_events(&self) -> bool {
        // SAFETY: the handle is alive.
        unsafe { ffi::rd_kafka_queue_length(self.events.as_ptr()) > 0 }
    }

    /// What stands for the topic for as long as this client has it, and the partition, of the next message; none where
    /// there is none now.
    #[inline]
    pub fn peek(&mut self) -> Option<(usize, i32)> {
        if self.next == self.taken.len() {
            self.fill();
        }
        let message = NonNull::new(*self.taken.get(self.next)?)?;
        // SAFETY: it was taken out of the queue, and not handed on.
        let message = unsafe { message.as_ref() };
        Some((message.rkt as usize, message.partition))
    }

    /// The place in its partition of the next message; none where there is none now, or something else stands in its place.
    #[inline]
    pub fn peek_offset(&self) -> Option<i64> {
        let message = NonNull::new(*self.taken.get(self.next)?)?;
        // SAFETY: it was taken out of the queue, and not handed on.
        let message = unsafe { message.as_ref() };
        (message.err == ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then_some(message.offset)
    }

    /// The topic of the next message; empty where there is none now.
    pub fn peek_topic(&self) -> &str {
        let message = self.taken.get(self.next).copied().and_then(NonNull::new);
        // SAFETY: it was taken out of the queue, and not handed on; so its topic is alive.
        message.map_or("", |message| unsafe { topic(message.as_ref().rkt) })
    }

    /// The next message; none where there is none now.
    #[inline]
    pub fn next(&mut self) -> Option<Message> {
        self.peek()?;
        let message = self.taken.get(self.next)?;
        if let Some(ahead) = self.taken.get(self.next + AHEAD).copied().and_then(NonNull::new) {
            // SAFETY: it was taken out of the queue, and not handed on.
            let ahead = unsafe { ahead.as_ref() };
            prefetch(ahead.payload.cast(), ahead.len);
        }
        self.next += 1;
        // SAFETY: it was taken out of the queue, and is handed on once.
        NonNull::new(*message).map(Message)
    }

    fn fill(&mut self) {
        self.taken.clear();
        self.next = 0;
        // SAFETY: the handle is alive, and there is room for as many pointers.
        unsafe {
            let taken =
                ffi::rd_kafka_consume_batch_queue(self.messages.as_ptr(), 0, self.taken.as_mut_ptr(), MOST);
            self.taken.set_len(usize::try_from(taken).unwrap_or(0));
        }
    }

    /// Lets go of what was taken out of the queue for a partition, whose messages come again.
    pub fn forget(&mut self, topic: &str, partition: i32) {
        let rest: Vec<_> = self.taken.drain(self.next..).collect();
        self.taken.clear();
        self.next = 0;
        for message in rest {
            // SAFETY: it was taken out of the queue, and not handed on.
            let Some(message) = NonNull::new(message).map(Message) else { continue };
            if message.partition() != partition || message.topic() != topic {
                self.taken.push(std::mem::ManuallyDrop::new(message).0.as_ptr());
            }
        }
    }

    /// The first offset that brokers still have, and the first that they have no message of yet, as they said last.
    pub fn bounds(&self, topic: &str, partition: i32) -> Option<(i64, i64)> {
        let topic = CString::new(topic).ok()?;
        let (mut low, mut high) = (0, 0);
        // SAFETY: the client is alive, the name ends in NUL, and the numbers are written before it returns.
        let code = unsafe {
            let client = self.consumer.client().native_ptr();
            ffi::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &mut low, &mut high)
        };
        (code == ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some((low, high))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        for message in self.taken.drain(self.next..) {
            // SAFETY: it was taken out of the queue, and not handed on.
            drop(NonNull::new(message).map(Message));
        }
        for queue in [self.messages, self.events] {
            // SAFETY: the handles are alive, and nobody uses them after this.
            unsafe {
                ffi::rd_kafka_queue_cb_event_enable(queue.as_ptr(), None, ptr::null_mut());
                ffi::rd_kafka_queue_destroy(queue.as_ptr());
            }
        }
        // Rung by nobody any more.
        let _: &Arc<Bell> = &self.bell;
    }
}

/// A message, or an error that stands in the place of one.
pub(super) struct Message(NonNull<ffi::rd_kafka_message_t>);

// SAFETY: librdkafka's messages may be used from any thread, and this one belongs to whoever has it alone.
unsafe impl Send for Message {}

impl Message {
    #[inline]
    fn get(&self) -> &ffi::rd_kafka_message_t {
        // SAFETY: the message is alive until it is dropped.
        unsafe { self.0.as_ref() }
    }

    /// What it tells instead of being a message, and librdkafka's words for it.
    #[inline]
    pub fn error(&self) -> Option<(RDKafkaErrorCode, String)> {
        let message = self.get();
        if message.err == ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        let text = String::from_utf8_lossy(self.value().unwrap_or_default()).into_owned();
        Some((message.err.into(), text))
    }

    /// The topic; empty for an error of no topic.
    pub fn topic(&self) -> &str {
        // SAFETY: the topic is alive while a message of it is.
        unsafe { topic(self.get().rkt) }
    }

    /// The partition.
    #[inline]
    pub fn partition(&self) -> i32 {
        self.get().partition
    }

    /// Its place in the partition.
    #[inline]
    pub fn offset(&self) -> i64 {
        self.get().offset
    }

    /// The value; none for a tombstone.
    #[inline]
    pub fn value(&self) -> Option<&[u8]> {
        let message = self.get();
        // SAFETY: the bytes live as long as the message.
        unsafe { bytes(message.payload, message.len) }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> Option<&[u8]> {
        let message = self.get();
        // SAFETY: the bytes live as long as the message.
        unsafe { bytes(message.key, message.key_len) }
    }

    /// Bytes of the key and the value.
    #[inline]
    pub fn size(&self) -> usize {
        self.get().len + self.get().key_len
    }

    /// Its time, in milliseconds since 1970.
    #[inline]
    pub fn time(&self) -> Option<i64> {
        let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive.
        let ms = unsafe { ffi::rd_kafka_message_timestamp(self.0.as_ptr(), &mut kind) };
        (kind != ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && ms >= 0).then_some(ms)
    }

    /// The headers, in their order.
    pub fn headers(&self) -> Headers<'_> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive, and owns the headers.
        unsafe { ffi::rd_kafka_message_headers(self.0.as_ptr(), &mut headers) };
        Headers { headers, next: 0, of: PhantomData }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: nobody else destroys it.
        unsafe { ffi::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// Has the head of some bytes fetched into the cache.
#[inline]
fn prefetch(bytes: *const u8, length: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // The processor goes on by itself from there.
        for line in (0..length.min(256)).step_by(64) {
            // SAFETY: a hint, which reads nothing, wherever it points.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.wrapping_add(line).cast()) }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, length);
}

/// The name of a topic; empty for none.
///
/// # Safety
/// The topic is alive for as long as `'a`, or null.
unsafe fn topic<'a>(handle: *mut ffi::rd_kafka_topic_t) -> &'a str {
    if handle.is_null() {
        return "";
    }
    // SAFETY: as the caller says; the name ends in NUL.
    let name = unsafe { CStr::from_ptr(ffi::rd_kafka_topic_name(handle)) };
    name.to_str().unwrap_or_default()
}

/// Bytes that librdkafka lends; none where there are none, which is not the same as no bytes.
///
/// # Safety
/// There are so many bytes at the pointer for as long as `'a`.
#[inline]
unsafe fn bytes<'a>(pointer: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller says.
    NonNull::new(pointer.cast_mut()).map(|p| unsafe { std::slice::from_raw_parts(p.as_ptr().cast(), length) })
}

/// The headers of a message.
pub(super) struct Headers<'a> {
    headers: *mut ffi::rd_kafka_headers_t,
    next: usize,
    of: PhantomData<&'a Message>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.headers.is_null() {
            return None;
        }
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the headers are alive with their message; what is answered lives as long as they do.
        unsafe {
            let code =
                ffi::rd_kafka_header_get_all(self.headers, self.next, &mut name, &mut value, &mut size);
            if code != ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            self.next += 1;
            Some((CStr::from_ptr(name).to_bytes(), bytes(value, size)))
        }
    }
}

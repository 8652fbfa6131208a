//! Bitmaps, least significant bit first, as Arrow has them: bit `i` is bit `i % 8` of byte `i / 8`.

/// Whether bit `i` is set.
///
/// # Panics
/// When the bitmap is too short.
#[inline]
pub fn get(bits: &[u8], i: usize) -> bool {
    bits[i >> 3] >> (i & 7) & 1 == 1
}

/// How many bytes hold `bits` bits.
pub const fn bytes_for(bits: usize) -> usize {
    bits.div_ceil(8)
}

/// A bitmap of `len` bits, all of them set; the bits past the end are zero.
pub fn ones(len: usize) -> Vec<u8> {
    let mut bits = vec![0xff; bytes_for(len)];
    mask_tail(&mut bits, len);
    bits
}

/// Zeroes the bits of the last byte that lie past the end.
pub(crate) fn mask_tail(bits: &mut [u8], len: usize) {
    if let (Some(last), tail @ 1..) = (bits.last_mut(), len & 7) {
        *last &= (1 << tail) - 1;
    }
}

/// These bits of a bitmap, in this order.
///
/// # Panics
/// When the bitmap is too short.
pub fn take(bits: &[u8], numbers: &[u32]) -> Vec<u8> {
    let mut taken = vec![0; bytes_for(numbers.len())];
    for (to, from) in numbers.iter().enumerate() {
        taken[to >> 3] |= u8::from(get(bits, *from as usize)) << (to & 7);
    }
    taken
}

/// A bitmap that grows bit by bit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BitmapBuilder {
    bits: Vec<u8>,
    len: usize,
}

impl BitmapBuilder {
    /// An empty bitmap with room for `bits` bits.
    pub fn with_capacity(bits: usize) -> Self {
        Self { bits: Vec::with_capacity(bytes_for(bits)), len: 0 }
    }

    /// How many bits were pushed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no bit was pushed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends one bit.
    #[inline]
    pub fn push(&mut self, bit: bool) {
        let shift = self.len & 7;
        if shift == 0 {
            self.bits.push(u8::from(bit));
        } else if let Some(last) = self.bits.last_mut() {
            *last |= u8::from(bit) << shift;
        }
        self.len += 1;
    }

    /// Appends bits that are not set until there are `len`.
    pub fn pad(&mut self, len: usize) {
        if len > self.len {
            self.bits.resize(bytes_for(len), 0);
            self.len = len;
        }
    }

    /// Bit `i`.
    ///
    /// # Panics
    /// When there is no such bit.
    pub fn get(&self, i: usize) -> bool {
        get(&self.bits, i)
    }

    /// Cuts the bitmap to `len` bits; does nothing when it is shorter.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.bits.truncate(bytes_for(len));
            mask_tail(&mut self.bits, len);
            self.len = len;
        }
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bits
    }
}

/// Which rows have a value. Costs nothing while all of them do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presence(Option<BitmapBuilder>);

impl Presence {
    /// Row `row` has a value. Rows must come in order.
    #[inline]
    pub(crate) fn push_present(&mut self) {
        if let Some(bits) = &mut self.0 {
            bits.push(true);
        }
    }

    /// Row `row` has none.
    #[inline]
    pub(crate) fn push_absent(&mut self, row: usize) {
        self.0.get_or_insert_with(|| BitmapBuilder { bits: ones(row), len: row }).push(false);
    }

    /// Whether a row has no value.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn is_present(&self, row: usize) -> bool {
        self.0.as_ref().is_none_or(|bits| bits.get(row))
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        if let Some(bits) = &mut self.0 {
            bits.truncate(rows);
        }
    }

    pub(crate) fn finish(self) -> Option<Vec<u8>> {
        self.0.map(BitmapBuilder::finish)
    }
}

//! flitch: an edge collector for logs.

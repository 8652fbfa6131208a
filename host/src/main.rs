//! The daemon and its tools: see [`flitch::cli`].

fn main() {
    flitch::allocator::keep();
    flitch::cli::leave(flitch::cli::main())
}

//! The daemon and its tools: see [`flitch::cli`].

#[global_allocator]
static ALLOCATOR: flitch::allocator::Allocator = flitch::allocator::Allocator;

fn main() {
    flitch::allocator::keep();
    flitch::cli::leave(flitch::cli::main())
}

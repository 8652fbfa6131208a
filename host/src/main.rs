//! The daemon and its tools: see [`flitch::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    flitch::allocator::keep();
    flitch::cli::main()
}

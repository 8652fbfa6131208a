//! What is made for a configuration before that is in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::DropGuard;

use crate::app::{Kept, Output, Pipeline};
use flitch_filters::{FilterContext, Program};

/// What was made for a configuration, and is not in force yet.
pub(in crate::app) struct Made {
    pub outputs: BTreeMap<Arc<str>, Output>,
    pub pipelines: BTreeMap<Arc<str>, Pipeline>,
    /// What filters are loaded with from now on.
    pub filters: FilterContext,
    /// Pipelines that go on with other filters.
    pub swaps: Vec<(Arc<str>, Arc<Program>)>,
    /// Filters that go on as they are, since what is in their files cannot be used.
    pub kept: Vec<Kept>,
    /// Let go of the outputs where they do not come into force: a signal to end gives up what a reload is about.
    pub leaving: Vec<DropGuard>,
}

impl Made {
    /// Nothing yet.
    pub fn nothing(filters: FilterContext) -> Made {
        Made {
            outputs: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            filters,
            swaps: Vec::new(),
            kept: Vec::new(),
            leaving: Vec::new(),
        }
    }
}

/// What was made and given up, until somebody waits for its end.
pub(in crate::app) type GivenUp = Arc<Mutex<Vec<Made>>>;

/// What is being made. Where that is given up it is told to end, and put where whoever ends all parts waits for it.
pub(super) struct Making {
    made: Option<Made>,
    given_up: GivenUp,
}

impl Making {
    pub fn begin(made: Made, given_up: &GivenUp) -> Making {
        Making { made: Some(made), given_up: given_up.clone() }
    }

    pub fn made(&mut self) -> &mut Made {
        self.made.as_mut().expect("it is there until it is taken")
    }

    pub fn take(mut self) -> Made {
        self.made.take().expect("it is taken once")
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let Some(mut made) = self.made.take() else { return };
        made.leaving.clear();
        self.given_up.lock().push(made);
    }
}

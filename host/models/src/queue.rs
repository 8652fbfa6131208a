//! The queue between the stages, whose two ends are threads and tasks.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::model::Builder;
use loom::thread;

#[path = "../../core/src/buffers/queue.rs"]
#[expect(dead_code, reason = "what only looks at the queue is not tried here")]
mod module;
mod sync;

use module::{Closed, Queue};

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread. A wake-up that is lost is a deadlock, which loom finds.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Tries every order in which threads can take turns, with at most three that one is made to take.
fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn a_push_that_waits_for_room_is_woken_by_whoever_makes_it() {
    model(|| {
        let queue = loom::sync::Arc::new(Queue::new(1));
        let pushes: Vec<_> = (0..2)
            .map(|number| {
                let queue = queue.clone();
                thread::spawn(move || block_on(queue.push(number, 1)).unwrap())
            })
            .collect();
        let found = [block_on(queue.pop()), block_on(queue.pop())];
        pushes.into_iter().for_each(|push| push.join().unwrap());
        assert!(found == [Some(0), Some(1)] || found == [Some(1), Some(0)], "{found:?}");
        assert!(queue.is_empty() && !queue.is_full());
    });
}

#[test]
fn an_item_wakes_a_task_or_a_thread_that_waits_for_it() {
    model(|| {
        let queue = loom::sync::Arc::new(Queue::new(10));
        let task = {
            let queue = queue.clone();
            thread::spawn(move || block_on(queue.pop()))
        };
        let blocked = {
            let queue = queue.clone();
            thread::spawn(move || queue.pop_blocking(None).unwrap())
        };
        assert_eq!(queue.try_push(1, 1), Ok(Ok(())));
        queue.close();
        let mut found = [task.join().unwrap(), blocked.join().unwrap()];
        found.sort_unstable();
        assert_eq!(found, [None, Some(1)]);
    });
}

#[test]
fn as_many_tasks_go_on_as_there_are_items() {
    model(|| {
        let queue = loom::sync::Arc::new(Queue::new(10));
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || block_on(queue.pop()).unwrap())
            })
            .collect();
        for number in 0..2 {
            assert_eq!(queue.try_push(number, 1), Ok(Ok(())));
        }
        let found: i32 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(found, 1);
    });
}

#[test]
fn an_item_that_leaves_makes_room_for_all_that_fit() {
    model(|| {
        let queue = loom::sync::Arc::new(Queue::new(2));
        assert_eq!(queue.try_push(0, 2), Ok(Ok(())));
        let pushes: Vec<_> = (1..3)
            .map(|number| {
                let queue = queue.clone();
                thread::spawn(move || block_on(queue.push(number, 1)).unwrap())
            })
            .collect();
        assert_eq!(block_on(queue.pop()), Some(0));
        // Nobody takes anything out before both are in.
        pushes.into_iter().for_each(|push| push.join().unwrap());
        assert_eq!(queue.len(), 2);
    });
}

#[test]
fn the_end_wakes_all_who_wait_for_room() {
    model(|| {
        let queue = loom::sync::Arc::new(Queue::new(1));
        assert_eq!(queue.try_push(0, 1), Ok(Ok(())));
        let pushes: Vec<_> = (1..3)
            .map(|number| {
                let queue = queue.clone();
                thread::spawn(move || block_on(queue.push(number, 1)))
            })
            .collect();
        queue.close();
        for push in pushes {
            assert_eq!(push.join().unwrap(), Err(Closed));
        }
        assert_eq!((block_on(queue.pop()), block_on(queue.pop())), (Some(0), None));
    });
}

#[test]
fn the_end_wakes_all_who_wait_for_an_item() {
    model(|| {
        let queue = loom::sync::Arc::new(Queue::<i32>::new(1));
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || block_on(queue.pop()))
            })
            .collect();
        queue.close();
        for task in tasks {
            assert_eq!(task.join().unwrap(), None);
        }
    });
}

#[test]
fn a_task_that_gives_up_while_it_is_woken_passes_the_item_on() {
    model(|| {
        let queue = loom::sync::Arc::new(Queue::new(10));
        let patient = {
            let queue = queue.clone();
            thread::spawn(move || block_on(queue.pop()))
        };
        let impatient = {
            let queue = queue.clone();
            thread::spawn(move || {
                let waker = Waker::noop();
                let mut pop = pin!(queue.pop());
                match pop.as_mut().poll(&mut Context::from_waker(waker)) {
                    Poll::Ready(item) => item,
                    Poll::Pending => None,
                }
            })
        };
        assert_eq!(queue.try_push(1, 1), Ok(Ok(())));
        if impatient.join().unwrap() == Some(1) {
            assert_eq!(queue.try_push(2, 1), Ok(Ok(())));
        }
        assert!(patient.join().unwrap().is_some());
    });
}

use super::*;

/// The lines of a text, those of one record together.
fn groups(preset: Preset, text: &str) -> Vec<Vec<&str>> {
    let rule = Rule::new(None, None, Some(preset), 100).unwrap();
    let mut groups: Vec<(Begun, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        let last = groups.last_mut();
        match last.and_then(|(begun, group)| rule.goes_on(begun, line.as_bytes()).then_some(group)) {
            Some(group) => group.push(line),
            None => groups.push((rule.begin(line.as_bytes()), vec![line])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[track_caller]
fn sizes(preset: Preset, text: &str, sizes: &[usize]) {
    let groups = groups(preset, text);
    assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{groups:#?}");
}

#[test]
fn a_java_stack_trace_belongs_to_the_line_before_it() {
    sizes(
        Preset::Java,
        "2026-11-27 00:00:00 INFO started
2026-11-27 00:00:01 ERROR order failed
com.example.shop.OrderException: no stock
\tat com.example.shop.Cart.order(Cart.java:12)
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: java.lang.NullPointerException
\tat com.example.shop.Stock.of(Stock.java:3)
\t... 12 more
\tSuppressed: java.io.IOException: closed
2026-11-27 00:00:02 INFO next
Exception in thread \"main\" java.lang.IllegalStateException: x
\tat Main.main(Main.java:3)",
        &[1, 8, 1, 2],
    );
}

#[test]
fn a_stack_trace_of_dotnet_belongs_to_the_line_before_it() {
    sizes(
        Preset::Java,
        "fail: Shop.Cart[0] order failed
System.InvalidOperationException: no stock
 ---> System.AggregateException: One or more errors occurred. (closed)
 ---> System.IO.IOException: closed
   at Shop.Stock.Read() in /src/Stock.cs:line 3
   --- End of inner exception stack trace ---
   at Shop.Stock.Of()
--- End of stack trace from previous location ---
   at Shop.Cart.Order() in /src/Cart.cs:line 12
info: Shop.Cart[0] next
---> an arrow at the beginning of a line is none",
        &[9, 1, 1],
    );
}

#[test]
fn a_python_traceback_with_what_it_follows_from_belongs_to_the_line_before_it() {
    sizes(
        Preset::Python,
        "INFO started
ERROR order failed
Traceback (most recent call last):
  File \"cart.py\", line 3, in order
    stock[0]
KeyError: 0

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"cart.py\", line 5, in order
shop.errors.NoStockError: cart
INFO next
KeyError is no line of a traceback: it says more",
        &[1, 11, 1, 1],
    );
}

#[test]
fn what_follows_a_panic_of_go_belongs_to_it() {
    sizes(
        Preset::Go,
        "2026/11/27 started
panic: runtime error: index out of range [3] with length 2 [recovered]

goroutine 1 [running]:
main.(*Cart).order(0xc000012345, {0x1, 0x2})
\t/app/cart.go:12 +0x1d
net/http.HandlerFunc.ServeHTTP(...)
\t/usr/local/go/src/net/http/server.go:2109
created by main.main in goroutine 1
\t/app/main.go:9 +0x2
exit status 2
2026/11/27 next",
        &[1, 10, 1],
    );
}

#[test]
fn what_java_leaves_out_of_a_circle_belongs_to_its_trace() {
    sizes(
        Preset::Java,
        "ERROR x
java.lang.IllegalStateException: x
\tat Main.main(Main.java:3)
Caused by: java.lang.IllegalArgumentException: y
\t... 1 more
\t[CIRCULAR REFERENCE: java.lang.IllegalStateException: x]
Caused by: [CIRCULAR REFERENCE: java.lang.IllegalStateException: x]
[CIRCULAR REFERENCE is no line of a trace
next",
        &[7, 1, 1],
    );
}

#[test]
fn the_exception_behind_the_frames_of_python_belongs_to_them_whatever_its_class_is_called() {
    for exception in [
        "socket.gaierror: [Errno -2] Name or service not known",
        "subprocess.TimeoutExpired: Command 'x' timed out",
        "http.client.RemoteDisconnected: Remote end closed connection",
        "requests.exceptions.Timeout",
        "queue.Empty",
        "queue.Empty:",
        "__main__.f.<locals>.Wrong: x",
        "KeyError: 0",
    ] {
        for first in
            ["ERROR x\nTraceback (most recent call last):", "ERROR x: Traceback (most recent call last):"]
        {
            let lines = first.lines().count() + 3;
            sizes(
                Preset::Python,
                &format!(
                    "{first}\n  File \"a.py\", line 1, in f\n    g()\n{exception}\nINFO: next\nqueue.Empty"
                ),
                &[lines, 1, 1],
            );
        }
    }
}

#[test]
fn what_stands_behind_frames_of_python_and_is_no_exception_is_the_next_record() {
    let trace = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n";
    for next in ["INFO next", "2026-11-27 00:00:00 x", "INFO:root:next", "f(x): y"] {
        sizes(Preset::Python, &format!("ERROR x\n{trace}{next}"), &[3, 1]);
    }
    // Where it announces nothing, no frames come behind it.
    sizes(Preset::Python, "ERROR x\n  indented\nqueue.Empty: x", &[2, 1]);
    sizes(Preset::Python, "Traceback (most recent call last):\nqueue.Empty: x", &[1, 1]);
    sizes(
        Preset::Python,
        "ERROR x\nStack (most recent call last):\n  File \"a.py\", line 1\nqueue.Empty: x",
        &[3, 1],
    );
}

#[test]
fn frames_of_go_belong_to_a_panic_and_to_nothing_else() {
    sizes(
        Preset::Go,
        "started
handler.Do(x)
Listen(80)
panic: yaml: x

goroutine 1 [running]:
gopkg.in/yaml%2ev3.handleErr(0xc0001)
\t/x/yaml.go:3 +0x1
main.F[...](0x1)
\t/x.go:1
panic({0x4a1b20, 0x4e2f30})
\t/usr/local/go/src/runtime/panic.go:770 +0x132
...12 frames elided...
main.main()
\t/x.go:2

goroutine 18 gp=0xc0 m=nil [GC worker (idle)]:
runtime.gopark(0x1?)
\t/x
rax    0x0
rip    0x46b8a3
next
main.main()",
        &[1, 1, 1, 18, 1, 1],
    );
}

#[test]
fn one_of_three_says_it() {
    let pattern = || Some(Pattern::try_from("^x".to_owned()).unwrap());
    for (start, more, preset, why) in [
        (None, None, None, "needs `start`"),
        (pattern(), pattern(), None, "several of"),
        (pattern(), None, Some(Preset::Go), "several of"),
    ] {
        let error = Rule::new(start.as_ref(), more.as_ref(), preset, 2).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let error = Rule::new(pattern().as_ref(), None, None, 0).unwrap_err().to_string();
    assert!(error.contains("`multiline.max_lines` is 0"), "{error}");
    assert!(Pattern::try_from("(".to_owned()).unwrap_err().contains("`(` is no regular expression"));
    let rule = Rule::new(pattern().as_ref(), None, None, 2).unwrap();
    let mut begun = rule.begin(b"x");
    assert!(
        !rule.goes_on(&mut begun, b"x") && rule.goes_on(&mut begun, b"y") && !rule.goes_on(&mut begun, b"y")
    );
}

#[test]
fn an_expression_that_was_written_for_another_program_is_refused_and_not_one_that_matches_nothing() {
    let read = |text: &str| Pattern::try_from(text.to_owned()).map(|_| ());
    for text in [r"/^\d{4}-/", r"/([a-zA-Z]+ \d+)(.*)/", r"/^\d{4}-", r"^\<\d+\>"] {
        assert!(read(text).is_err(), "{text}");
    }
    for text in [r"^\d{4}-", r"^<\d+>", "^/api/", "[/]a[/]"] {
        assert_eq!(read(text), Ok(()), "{text}");
    }
}

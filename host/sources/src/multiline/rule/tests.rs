use super::*;

/// The lines of a text, those of one record together.
fn groups(preset: Preset, text: &str) -> Vec<Vec<&str>> {
    let rule = Rule::new(None, None, Some(preset), 100).unwrap();
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        match groups.last_mut() {
            Some(group) if !rule.is_next(line.as_bytes(), group.len()) => group.push(line),
            _ => groups.push(vec![line]),
        }
    }
    groups
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
    assert!(!rule.is_next(b"y", 1) && rule.is_next(b"y", 2) && rule.is_next(b"x", 1));
}

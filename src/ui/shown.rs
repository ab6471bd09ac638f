//! Times, counts and pages, as people read them.

use jiff::Timestamp;
use maud::{Markup, html};

use super::fields::link;

/// A moment to the second, also for programs.
pub(super) fn moment(at: Option<Timestamp>) -> Markup {
    html! {
        @match at {
            Some(at) => time datetime=(format!("{at:.0}")) {
                (format!("{at:.0}").replace('T', " ").replace('Z', " UTC"))
            },
            None => span.dim { "not known" },
        }
    }
}

/// A count with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// That there is nothing, and what that means.
pub(super) fn nothing(why: &str) -> Markup {
    html! { p.empty { (why) } }
}

/// Links to the pages before and after this one; pages count from 1.
pub(super) fn pages(path: &str, query: &[(&str, &str)], page: usize, has_next: bool) -> Markup {
    pages_of("page", path, query, page, has_next)
}

/// The same, where the page's number has this name.
pub(super) fn pages_of(
    name: &str,
    path: &str,
    query: &[(&str, &str)],
    page: usize,
    has_next: bool,
) -> Markup {
    let to = |page: usize| {
        let number = page.to_string();
        let mut query = query.to_vec();
        query.push((name, &number));
        link(path, &query)
    };
    html! {
        @if page > 1 || has_next {
            nav.pages aria-label=(format!("Pages ({name})")) {
                @if page > 1 { a rel="prev" href=(to(page - 1)) { "← Page " (page - 1) } }
                span { "Page " (page) }
                @if has_next { a rel="next" href=(to(page + 1)) { "Page " (page + 1) " →" } }
            }
        }
    }
}

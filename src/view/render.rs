//! A trace as text. Pure: spans and a width in, lines out.

use super::Span;
use super::text::{self, Line, Style};
use super::tree::{self, Row, What};

/// Columns of a duration.
const DURATION: usize = 7;

/// Columns of an HTTP status.
const STATUS: usize = 3;

/// Lines of one error's message.
const ERROR_LINES_MAX: usize = 3;

/// The narrowest and the widest that is drawn; a wider terminal only moves the figures away from what they belong to.
const WIDTHS: (usize, usize) = (24, 140);

/// The trace of `spans` as a tree under a rule, every line at most `width` columns wide (24 at least).
pub fn render(spans: &[Span], width: usize, colour: bool) -> String {
    let page = Page::of(spans, width.clamp(WIDTHS.0, WIDTHS.1), colour);
    let mut out = String::new();
    page.rule(spans, &mut out);
    for row in tree::rows(spans, page.label / 4) {
        page.row(&row, &mut out);
    }
    out
}

/// What all lines of a trace share.
struct Page<'a> {
    width: usize,
    colour: bool,
    /// Columns of the tree with its labels.
    label: usize,
    /// Columns of the status with the space before it, 0 where no span has one.
    status: usize,
    /// Columns of the bars, 0 on a narrow terminal.
    bar: usize,
    /// When the first span starts and the last one ends, in nanoseconds since 1970.
    begin: i128,
    end: i128,
    /// Services by first appearance, which decides their colour.
    services: Vec<&'a str>,
}

impl<'a> Page<'a> {
    fn of(spans: &'a [Span], width: usize, colour: bool) -> Self {
        let bar = if width < 48 { 0 } else { width / 4 };
        let has_status = spans.iter().any(|span| !span.http_status.is_empty());
        let status = if has_status && width >= 40 { STATUS + 1 } else { 0 };
        let right = status + usize::from(bar > 0) + bar + 1 + DURATION;
        let begin = spans.iter().map(|span| i128::from(span.start_ns)).min().unwrap_or(0);
        let end = spans.iter().map(end_ns).max().unwrap_or(begin);
        let mut services: Vec<&str> = Vec::new();
        let mut in_time: Vec<&Span> = spans.iter().collect();
        in_time.sort_by_key(|span| span.start_ns);
        for span in in_time {
            // Beyond the colours that there are nobody tells services apart by them.
            if services.len() < 12 && !services.contains(&span.service.as_str()) {
                services.push(&span.service);
            }
        }
        Self { width, colour, label: width - right, status, bar, begin, end, services }
    }

    fn service_style(&self, service: &str) -> Style {
        self.services.iter().position(|own| *own == service).map_or(Style::Plain, Style::Service)
    }

    /// `── trace 66f1… ──────── 7 spans · 1 error · 12.4 ms`, as much of it as there is room for.
    fn rule(&self, spans: &[Span], out: &mut String) {
        let errors = spans.iter().filter(|span| span.error).count();
        let plural = |count: usize, word: &str| {
            format!("{count} {word}{}", if count == 1 { "" } else { "s" })
        };
        let time = text::duration(u64::try_from(self.end - self.begin).unwrap_or(u64::MAX));
        // The most telling first, for what does not fit is left out.
        let mut facts = vec![(Style::Bold, time), (Style::Plain, plural(spans.len(), "span"))];
        if errors > 0 {
            facts.insert(0, (Style::Bad, plural(errors, "error")));
        }
        let columns = |facts: &[(Style, String)]| {
            facts.iter().map(|(_, fact)| text::columns(fact) + 3).sum::<usize>()
        };
        while columns(&facts) > self.width {
            facts.pop();
        }
        // In the order of reading: spans, errors, time.
        facts.sort_by_key(|(style, _)| {
            [Style::Plain, Style::Bad, Style::Bold].iter().position(|own| own == style)
        });
        // Less a separator, more the space after the strokes.
        let right = columns(&facts).saturating_sub(2);

        // The longest, for some chunks may lack the upper half.
        let id = spans.iter().map(|span| span.trace_id).max().unwrap_or(0);
        let title = if id >> 64 == 0 {
            format!("── trace {id:016x} ")
        } else {
            format!("── trace {id:032x} ")
        };
        let mut line = Line::new(self.colour);
        if text::columns(&title) + 2 + right <= self.width {
            line.push(Style::Dim, &title);
        }
        line.push(Style::Dim, &"─".repeat(self.width.saturating_sub(line.columns() + right)));
        for (at, (style, fact)) in facts.iter().enumerate() {
            line.push(Style::Dim, if at == 0 { " " } else { " · " });
            line.push(*style, fact);
        }
        line.end(out);
    }

    fn row(&self, row: &Row<'_>, out: &mut String) {
        let mut line = Line::new(self.colour);
        line.push(Style::Dim, &row.guide);
        match row.what {
            What::Missing(id) => {
                let words = format!("(parent {id:016x} not received)");
                line.push(
                    Style::Dim,
                    &text::cut(&words, self.width.saturating_sub(line.columns())),
                );
                line.end(out);
            }
            What::More(count) => {
                let words = format!("… {count} more span{}", if count == 1 { "" } else { "s" });
                line.push(
                    Style::Dim,
                    &text::cut(&words, self.width.saturating_sub(line.columns())),
                );
                line.end(out);
            }
            What::Span { span, tells_error } => {
                self.label(span, row.parent, &mut line);
                self.figures(span, &mut line);
                line.end(out);
                if tells_error {
                    self.error(span, &row.guide_below, out);
                }
            }
        }
    }

    /// `✗ service  resource  operation`: the service where it is another one than the parent's, the operation where there is room for it.
    fn label(&self, span: &Span, parent: Option<&Span>, line: &mut Line) {
        // Where there is no status its columns are free.
        let most = if span.http_status.is_empty() { self.label + self.status } else { self.label };
        let room = |line: &Line| most.saturating_sub(line.columns());
        if span.error {
            line.push(Style::Bad, "✗ ");
        }
        let clean = |text: &str| text::clean(text, self.width);
        if !span.service.is_empty() && parent.is_none_or(|parent| parent.service != span.service) {
            // A long service leaves room for what it did.
            let service = clean(&span.service);
            line.push(self.service_style(&span.service), &text::cut(&service, room(line) / 2));
            line.push(Style::Plain, "  ");
        }
        let (name, resource) = (clean(&span.name), clean(&span.resource));
        let main = if resource.is_empty() { &name } else { &resource };
        line.push(Style::Plain, &text::cut(main, room(line)));
        if *main != name && !name.is_empty() && text::columns(&name) + 2 <= room(line) {
            line.push(Style::Plain, "  ");
            line.push(Style::Dim, &name);
        }
    }

    /// Status, bar and duration, each in its columns.
    fn figures(&self, span: &Span, line: &mut Line) {
        if self.status > 0 {
            line.pad(self.label + 1);
            let status = text::clean(&span.http_status, STATUS);
            let style = match status.as_bytes().first() {
                Some(b'5') => Style::Bad,
                Some(b'4') => Style::Odd,
                _ => Style::Dim,
            };
            line.push(style, &text::cut(&status, STATUS));
        }
        if self.bar > 0 {
            line.pad(self.label + self.status + 1);
            let style = if span.error { Style::Bad } else { self.service_style(&span.service) };
            line.push(style, &self.bar(span));
        }
        let time = text::duration(span.duration_ns);
        line.pad(self.width.saturating_sub(text::columns(&time)));
        line.push(Style::Plain, &time);
    }

    /// Where the span lies within the trace, in half columns; a span of less than that is a thin stroke.
    fn bar(&self, span: &Span) -> String {
        let (halves, whole) = (2 * self.bar as i128, (self.end - self.begin).max(1));
        let (from, to) = (i128::from(span.start_ns) - self.begin, end_ns(span) - self.begin);
        let first = (from * halves / whole).clamp(0, halves - 1);
        let is_thin = (to - from) * halves * 2 < whole;
        // Rounded up, so that a span that ends last ends at the edge; a stroke is one.
        let last = if is_thin { first + 1 } else { (to * halves + whole - 1) / whole };
        let last = last.clamp(first + 1, halves);
        (0..self.bar as i128)
            .map(|column| {
                let covers = |half: i128| (first..last).contains(&half);
                match (covers(2 * column), covers(2 * column + 1)) {
                    (true, true) if !is_thin => '█',
                    (true, _) if is_thin => '▏',
                    (_, true) if is_thin => '▕',
                    (true, _) => '▌',
                    (_, true) => '▐',
                    _ => ' ',
                }
            })
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    /// The message of an error, below its span.
    fn error(&self, span: &Span, guide: &str, out: &mut String) {
        let (kind, message) = (
            text::clean(&span.error_type, self.width),
            text::clean(&span.error_message, 4 * self.width),
        );
        let words = match (kind.is_empty(), message.is_empty()) {
            (true, true) => return,
            (true, false) => message,
            (false, true) => kind,
            (false, false) if message.starts_with(&kind) => message,
            (false, false) => format!("{kind}: {message}"),
        };
        let room = self.width.saturating_sub(text::columns(guide)).max(1);
        for words in text::wrap(&words, room, ERROR_LINES_MAX) {
            let mut line = Line::new(self.colour);
            line.push(Style::Dim, guide);
            line.push(Style::Bad, &words);
            line.end(out);
        }
    }
}

fn end_ns(span: &Span) -> i128 {
    i128::from(span.start_ns) + i128::from(span.duration_ns)
}

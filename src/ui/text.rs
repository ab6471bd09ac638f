//! Text that stays text: whatever a person, a source or a caller wrote.

use std::fmt::Write;

use maud::Render;

/// A text that is shown as it is. Characters that nobody sees, or that change the order of what follows,
/// are named instead: a text must not look like another one.
pub(super) struct Text<T>(pub(super) T);

impl<T: AsRef<str>> Render for Text<T> {
    fn render_to(&self, buffer: &mut String) {
        for c in self.0.as_ref().chars() {
            match c {
                '&' => buffer.push_str("&amp;"),
                '<' => buffer.push_str("&lt;"),
                '>' => buffer.push_str("&gt;"),
                '"' => buffer.push_str("&quot;"),
                '\'' => buffer.push_str("&#39;"),
                '\n' | '\t' => buffer.push(c),
                '\r' => {}
                c if is_hidden(c) => {
                    // A text can always be written to.
                    let _ = write!(buffer, "⟨U+{:04X}⟩", u32::from(c));
                }
                c => buffer.push(c),
            }
        }
    }
}

/// Control characters, bidirectional formatting, and what has no width (Unicode: Bidi_Control, and
/// Default_Ignorable_Code_Point but for joiners and variation selectors, which emoji need).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_text_holds_it_stays_text() {
        let text = "<script>\"'&\u{202e}\u{0}\u{200b}\r\n\u{1f468}\u{200d}\u{1f469}";
        assert_eq!(
            Text(text).render().into_string(),
            "&lt;script&gt;&quot;&#39;&amp;⟨U+202E⟩⟨U+0000⟩⟨U+200B⟩\n\u{1f468}\u{200d}\u{1f469}"
        );
    }
}

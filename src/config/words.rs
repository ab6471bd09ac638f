//! Settings that are one of a few words.

/// Defines an enum that is set by one of a few words.
macro_rules! words {
    ($(#[$doc:meta])* $vis:vis $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that sets it.
            $vis fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word in any case.
            pub(super) fn parse(raw: &str) -> Result<Self, String> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|word| word.as_str().eq_ignore_ascii_case(raw))
                    .ok_or_else(|| {
                        let may_be: Vec<_> = Self::ALL.iter().map(|w| format!("`{}`", w.as_str())).collect();
                        format!(
                            "{} is not known; it may be {}",
                            super::error::quoted(raw),
                            may_be.join(", ")
                        )
                    })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(super) use words;

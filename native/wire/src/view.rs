//! The constructors every view has.

/// Defines a view over a buffer. Its `check_len` is written by the protocol.
macro_rules! view {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<T: AsRef<[u8]>> {
            buffer: T,
        }

        impl<T: AsRef<[u8]>> $name<T> {
            /// A view over `buffer` as it is: fields that are not there read as zero.
            #[inline]
            #[must_use]
            pub const fn new_unchecked(buffer: T) -> Self {
                Self { buffer }
            }

            /// A view over `buffer` if its headers are all there.
            ///
            /// # Errors
            /// As `check_len`.
            #[inline]
            pub fn new_checked(buffer: T) -> Result<Self, $crate::Malformed> {
                let view = Self { buffer };
                view.check_len()?;
                Ok(view)
            }

            /// The buffer itself.
            #[inline]
            #[must_use]
            pub fn into_inner(self) -> T {
                self.buffer
            }

            #[inline]
            fn bytes(&self) -> &[u8] {
                self.buffer.as_ref()
            }
        }
    };
}
pub(crate) use view;

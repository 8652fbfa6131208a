//! The settings that all stores have, so that each of them is described once.

/// Makes the settings of a store: its own keys, and those that all stores have.
macro_rules! store_settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $($own:tt)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// Where the object of a record goes and how its name begins, a template:
            /// `tag={@tag}/date={@timestamp:%Y-%m-%d}/hour={@timestamp:%H}/`. Behind it stand a hash
            /// of all that is in the object, and `.ndjson.zst` or what else it is. A slash in the value of a field
            /// is written `_` (one in the format of a time parts folders: `{@timestamp:%Y/%m/%d}`), and what stores do not
            /// allow in names `%XX`. A record without a field of it goes to the
            /// dead letters, and so does one whose key has a part that is empty, `.` or `..`, or is too long.
            #[serde(default = "crate::object::default_key")]
            pub key: flitch_core::batch::template::Template,
            /// How objects are compressed: `none`, `gzip` or `zstd`. With `encoding: { format: parquet }` it is done
            /// within, and `snappy` is there too.
            #[serde(default)]
            pub compression: crate::staging::Compression,
            /// An object is closed when its text, before it is compressed, is that long. Of Parquet the values count.
            #[serde(default = "crate::object::default_max_bytes")]
            pub max_bytes: flitch_core::units::Bytes,
            /// An object is closed that long after its first record came. Until then no source hears that the record is
            /// safe.
            #[serde(default = "crate::object::default_max_age")]
            pub max_age: flitch_core::units::Span,
            /// An object is closed when nothing came for it for so long.
            #[serde(default = "crate::object::default_max_idle")]
            pub max_idle: flitch_core::units::Span,
            /// Most objects that are open at once. For one more the one is closed to which nothing came for the longest
            /// time, and also when all of them take more than 64 MiB of memory beside their content: about 2.5 KiB each.
            #[serde(default = "crate::object::default_max_open")]
            #[schemars(range(min = 1))]
            pub max_open: usize,
            /// Most bytes below `data_dir` in which objects are built or wait to be written. Where more come sources wait.
            #[serde(default = "crate::object::default_max_staged")]
            pub max_staged: flitch_core::units::Bytes,
            /// When a source hears that a record is safe: `delivered`, when its object is at the store, or `stored`, when it is
            /// synced below `data_dir`, which is done each second. What is stored outlasts the process, and is written by
            /// the next one. Of Parquet the values wait there as they are, and the file is made when the object is closed.
            #[serde(default)]
            pub ack: crate::staging::Ack,
            /// Longest time for a request, in which up to 8 MiB are written. Requests go through the proxy that the
            /// environment names (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
            #[serde(default = "crate::object::default_timeout")]
            pub timeout: flitch_core::units::Span,
            /// Certificates in PEM, of which one vouches for the store or is its own, instead of those that the system knows.
            /// Read again when the file has changed.
            #[serde(default)]
            pub ca_file: crate::object::CaFile,
        }

        impl $name {
            fn common(&self) -> crate::object::Common<'_> {
                crate::object::Common {
                    key: &self.key,
                    compression: self.compression,
                    max_bytes: self.max_bytes,
                    max_age: self.max_age,
                    max_idle: self.max_idle,
                    max_open: self.max_open,
                    max_staged: self.max_staged,
                    ack: self.ack,
                }
            }
        }
    };
}

pub(crate) use store_settings;

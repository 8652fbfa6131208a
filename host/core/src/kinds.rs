//! How sources and outputs are registered: one line in the list of their room. The enum that the configuration is read
//! into, what is asked of each type, its part of the schema and of docs/config.md, and the test of its room's contract
//! all come from that line.

/// Makes the enum of the settings that a section of the configuration can hold, by `type`, of lines
/// `Variant(module::Settings)`. The module is one of the room and has the name of the type (`azure_blob` for
/// `AzureBlob`), the doc comment of the settings describes it, and the settings implement the trait named behind the
/// enum, to which the enum dereferences. For tests they also are what the room's contract wants of its subjects: without
/// it no test compiles.
#[macro_export]
macro_rules! kinds {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $kind:ident, kept by $contract:path {
            $($variant:ident($module:ident::$settings:ident),)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[schemars(tag = "type")]
        pub enum $name {
            $(
                #[expect(missing_docs, reason = "the settings have them, and the schema takes those")]
                $variant(super::$module::$settings),
            )+
        }

        impl $name {
            /// Every type, as `type` names it.
            pub const TYPES: &[&str] = &[$(stringify!($module),)+];

            /// Its type.
            pub fn type_name(&self) -> &'static str {
                match self { $($name::$variant(_) => stringify!($module),)+ }
            }
        }

        impl std::ops::Deref for $name {
            type Target = dyn $kind;

            fn deref(&self) -> &(dyn $kind + 'static) {
                match self { $($name::$variant(settings) => settings,)+ }
            }
        }

        #[cfg(test)]
        mod keeps_the_contract_of_its_room {
            use $contract as keep;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $module() {
                    keep::<super::super::$module::$settings>().await;
                }
            )+
        }
    };
}

pub use kinds;

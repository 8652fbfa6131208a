//! How sources and outputs are registered: one line in the list of their room. The enum that the configuration is read
//! into, what is asked of each type, its part of the schema and of docs/config.md, and the test of its room's contract
//! all come from that line.

/// Makes the enum of the settings that a section of the configuration can hold, by `type`, of lines
/// `Variant(module::Settings)`. The module is one of the room and has the name of the type (`azure_blob` for
/// `AzureBlob`), the doc comment of the settings describes it, and the settings implement the trait named behind the
/// enum, to which the enum dereferences. For tests they also are what the room's contract wants of its subjects: without
/// it no test compiles.
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

pub(crate) use kinds;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::schema;
    use crate::outputs::OutputSettings;
    use crate::sources::SourceSettings;

    const SECTIONS: [(&str, &str, &[&str]); 2] =
        [("sources", "Sources", SourceSettings::TYPES), ("outputs", "Outputs", OutputSettings::TYPES)];

    fn read(path: &str) -> String {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        std::fs::read_to_string(repository.join(path)).unwrap()
    }

    #[test]
    fn every_type_is_called_by_the_name_of_its_module() {
        let schema = schema::plain();
        let definitions =
            [("SourceSettings", SourceSettings::TYPES), ("OutputConfig", OutputSettings::TYPES)];
        for (definition, types) in definitions {
            let forms = schema["$defs"][definition]["oneOf"].as_array().unwrap();
            let named: Vec<&str> =
                forms.iter().map(|form| form["properties"]["type"]["const"].as_str().unwrap()).collect();
            assert_eq!(named, types);
        }
    }

    #[test]
    fn the_reference_has_a_section_on_every_type() {
        let reference = read("docs/config.md");
        for (section, _, types) in SECTIONS {
            for name in types {
                let heading = format!("\n### {section}: `type: {name}`\n\n");
                let (_, text) = reference.split_once(&heading).expect(&heading);
                assert!(!text.starts_with('-'), "{heading} does not say what it is");
            }
        }
    }

    #[test]
    fn the_guarantees_of_every_type_are_written_down() {
        let guarantees = read("docs/guarantees.md");
        for (_, title, types) in SECTIONS {
            let (_, text) = guarantees.split_once(&format!("\n## {title}\n")).expect(title);
            let section = text.split("\n## ").next().unwrap_or_default();
            for name in types {
                let has_row = |line: &str| line.starts_with(&format!("| `{name}`"));
                assert!(section.lines().any(has_row), "docs/guarantees.md, {title}: no row about `{name}`");
            }
        }
    }
}

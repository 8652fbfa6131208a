use super::*;

const CONFIG: &str = "
# ours
[default]
region = eu-central-1
[profile edge] ; a comment
region=eu-west-1
s3 =
  max_concurrent_requests = 20
  region = nowhere
credential_process = /opt/tool --a 'b c' # of the platform
[profile upload]
role_arn = arn:aws:iam::1:role/upload
source_profile = keys
external_id = e-1
role_session_name = edge-7
[profile keys]
output = json
[profile itself]
role_arn = arn:aws:iam::1:role/self
source_profile = itself
aws_access_key_id = ID
aws_secret_access_key = hush
[profile pod]
role_arn = arn:aws:iam::1:role/pod
web_identity_token_file = /var/token
[profile machine]
role_arn = arn:aws:iam::1:role/machine
credential_source = Ec2InstanceMetadata
[profile round]
role_arn = r
source_profile = trip
[profile trip]
role_arn = r
source_profile = round
[profile code]
role_arn = r
source_profile = keys
mfa_serial = m
[profile sso]
sso_session = corp
[sso-session corp]
aws_access_key_id = none of a profile
[keys]
aws_access_key_id = none of a profile either
";

const CREDENTIALS: &str = "[keys]
aws_access_key_id=AKIA
AWS_SECRET_ACCESS_KEY = se=cr;et#s
[half]
aws_access_key_id = AKIA
";

fn files(folder: &tempfile::TempDir) -> Files {
    let aws = folder.path().join(".aws");
    std::fs::create_dir(&aws).unwrap();
    std::fs::write(aws.join("config"), CONFIG).unwrap();
    std::fs::write(aws.join("credentials"), CREDENTIALS).unwrap();
    Files::of(|name| (name == "HOME").then(|| folder.path().to_string_lossy().into_owned()))
}

#[test]
fn both_files_say_what_a_profile_is() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = files(&folder).profiles().unwrap();
    let names: Vec<&str> = profiles.keys().map(String::as_str).collect();
    let all = [
        "code", "default", "edge", "half", "itself", "keys", "machine", "pod", "round", "sso", "trip",
        "upload",
    ];
    assert_eq!(names, all);
    assert_eq!(profiles["edge"]["region"], "eu-west-1");
    assert_eq!(profiles["edge"]["credential_process"], "/opt/tool --a 'b c'");
    assert_eq!(profiles["keys"]["aws_secret_access_key"], "se=cr;et#s");
    assert_eq!(profiles["keys"]["output"], "json");
}

#[test]
fn a_profile_names_keys_a_program_or_a_role_and_who_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = files(&folder).profiles().unwrap();
    let of = |name: &str| from(&profiles, name).unwrap();
    assert_eq!(of("default"), None);
    assert_eq!(of("edge"), Some(From::Process("/opt/tool --a 'b c'".to_owned())));
    let Some(From::Role(role, base)) = of("upload") else { panic!() };
    assert_eq!((role.session.as_str(), role.external_id.as_deref()), ("edge-7", Some("e-1")));
    assert_eq!(*base, From::Keys(profiles["keys"].clone()));
    let Some(From::Role(_, base)) = of("itself") else { panic!() };
    assert_eq!(*base, From::Keys(profiles["itself"].clone()));
    assert!(matches!(of("pod"), Some(From::WebIdentity { token_file, .. }) if token_file == "/var/token"));
    let Some(From::Role(_, base)) = of("machine") else { panic!() };
    assert_eq!(*base, From::Elsewhere("Ec2InstanceMetadata".to_owned()));
}

#[test]
fn a_profile_that_cannot_be_had_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = files(&folder).profiles().unwrap();
    for (name, said) in [
        ("none", "no profile `none`"),
        ("half", "go together"),
        ("round", "profile `round` has no credentials for the role of `trip`"),
        ("code", "`mfa_serial`"),
        ("sso", "export-credentials --profile sso"),
    ] {
        let error = from(&profiles, name).unwrap_err().to_string();
        assert!(error.contains(said), "{name}: {error}");
    }
}

#[test]
fn files_that_are_not_there_have_no_profiles_and_the_environment_names_others() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, "[a]\naws_access_key_id = b\n").unwrap();
    let files = Files::of(|name| {
        (name == "AWS_SHARED_CREDENTIALS_FILE").then(|| other.to_string_lossy().into_owned())
    });
    assert_eq!(files.profiles().unwrap().len(), 1);
    assert!(Files::of(|_| None).profiles().unwrap().is_empty());
}

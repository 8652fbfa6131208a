use super::*;

fn logins(text: &str) -> (tempfile::TempDir, Logins) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, text).unwrap();
    let own = AuthSettings {
        username: Some("own".to_owned()),
        password: Some(Secret::new("secret")),
        ..AuthSettings::default()
    };
    let own = BTreeMap::from([("own.example.com".to_owned(), own)]);
    (folder, Logins::new(&own, Some(path)))
}

fn shown(login: &Login) -> String {
    match login {
        Login::Nobody => "nobody".to_owned(),
        Login::Basic { username, password } => format!("{username}:{}", password.expose()),
        Login::Bearer(token) => format!("bearer {}", token.expose()),
        Login::Identity(token) => format!("identity {}", token.expose()),
    }
}

#[test]
fn credentials_are_those_of_the_configuration_and_else_those_of_docker() {
    let (_folder, logins) = logins(
        r#"{"auths": {
            "a.example.com": {"auth": "dXNlcjpwYTpzcw=="},
            "https://b.example.com/v1/": {"username": "b", "password": "p"},
            "c.example.com:5000": {"identitytoken": "t"},
            "d.example.com": {"registrytoken": "r"},
            "https://index.docker.io/v1/": {"auth": "aDpo"},
            "empty.example.com": {},
            "own.example.com": {"auth": "eDp4"}
        }, "HttpHeaders": {"x": "y"}}"#,
    );
    for (host, login) in [
        ("own.example.com", "own:secret"),
        ("a.example.com", "user:pa:ss"),
        ("b.example.com", "b:p"),
        ("c.example.com:5000", "identity t"),
        ("c.example.com", "nobody"),
        ("d.example.com", "bearer r"),
        ("docker.io", "h:h"),
        ("empty.example.com", "nobody"),
    ] {
        assert_eq!(shown(&logins.of(host, "team/parse").unwrap()), login, "{host}");
    }
}

#[test]
fn of_several_credentials_for_one_registry_the_nearest_to_the_repository_counts() {
    let (_folder, logins) = logins(
        r#"{"auths": {
            "r.example.com/other": {"username": "other", "password": "p"},
            "r.example.com/team": {"username": "team", "password": "p"},
            "r.example.com/team/parse": {"username": "parse", "password": "p"},
            "r.example.com/team/empty": {},
            "r.example.com": {"username": "all", "password": "p"},
            "n.example.com/team": {"username": "n", "password": "p"},
            "v.example.com/v2/": {"username": "v", "password": "p"},
            "https://w.example.com/some/where": {"username": "w", "password": "p"},
            "docker.io/team": {"username": "d", "password": "p"},
            "index.docker.io": {"username": "h", "password": "p"},
            "https://index.docker.io/v1/": {"username": "hub", "password": "p"}
        }}"#,
    );
    for (host, repository, login) in [
        ("r.example.com", "other/x", "other:p"),
        ("r.example.com", "team/parse", "parse:p"),
        ("r.example.com", "team/parse/more", "parse:p"),
        ("r.example.com", "team/parser", "team:p"),
        ("r.example.com", "team/empty", "team:p"),
        ("r.example.com", "teams/parse", "all:p"),
        ("n.example.com", "team/x", "n:p"),
        ("n.example.com", "x", "nobody"),
        ("v.example.com", "x", "v:p"),
        ("w.example.com", "x", "w:p"),
        ("docker.io", "team/x", "d:p"),
        ("docker.io", "library/x", "hub:p"),
    ] {
        assert_eq!(shown(&logins.of(host, repository).unwrap()), login, "{host}/{repository}");
    }
}

#[test]
fn a_file_of_docker_that_holds_nothing_knows_nobody() {
    for text in [
        "",
        " \n",
        "null",
        "{}",
        r#"{"auths": null, "credHelpers": null, "credsStore": null}"#,
        r#"{"auths": {"a": null}, "credHelpers": {"a": null}}"#,
    ] {
        let (_folder, logins) = logins(text);
        assert_eq!(shown(&logins.of("a", "team/parse").unwrap()), "nobody", "{text}");
        assert_eq!(shown(&logins.of("own.example.com", "team/parse").unwrap()), "own:secret", "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_told_without_what_is_in_it() {
    for text in ["{\"auths\": {\"a\": {\"auth\": \"secret!\"}}}", "{\"auths\": \"secret\"}", "secret"] {
        let (_folder, logins) = logins(text);
        let error = logins.of("a", "team/parse").unwrap_err().to_string();
        assert!(error.contains("config.json") && !error.contains("secret"), "{error}");
    }
}

#[test]
fn a_credential_helper_is_no_command_line() {
    let (_folder, logins) =
        logins(r#"{"credHelpers": {"a": "x; touch /tmp/x"}, "credsStore": "no-such-helper"}"#);
    assert!(logins.of("a", "team/parse").unwrap_err().to_string().contains("no name of a credential helper"));
    assert!(
        logins.of("b", "team/parse").unwrap_err().to_string().contains("docker-credential-no-such-helper")
    );
}

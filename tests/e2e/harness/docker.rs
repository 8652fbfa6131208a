use flitch_tests::servers::docker::Docker;

#[test]
fn dockerd_runs_a_container_and_keeps_its_log() {
    let Some(docker) = Docker::shared("dockerd_runs_a_container_and_keeps_its_log") else { return };
    let out = docker.run(&["--log-driver=json-file"], "echo to stdout").unwrap();
    assert_eq!(out, "to stdout\n");
    let error = docker.run(&[], "exit 3").unwrap_err().to_string();
    assert!(error.contains("exit status: 3"), "{error}");
}

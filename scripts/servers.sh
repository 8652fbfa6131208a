#!/usr/bin/env bash
# Fetches the servers and clients of the tests that Debian does not have, at pinned versions, into
# $FLITCH_CACHE (~/.cache/flitch): Apache Kafka, OpenSearch and HDFS from Maven Central, forward clients from npm and PyPI, servers
# of S3, of Google Cloud Storage and of plugins, the signer cosign, and the clients crane and oras, as Go modules, one of OpAMP around the module opamp-go, and Azurite, Microsoft's emulator of Azure's storage, from npm; their client of Azure Data Explorer,
# readers of Parquet, and moto from PyPI.
# A finished part carries a stamp with its version; what has its stamp is not fetched again.
set -euo pipefail
source "$(dirname "$0")/common.sh"
# Where `setup-sdk.sh` puts a Go that the machine has not.
PATH="$FLITCH_CACHE/sdk/bin:$PATH"

kafka_version=4.1.0
scala_version=2.13
slf4j_version=1.7.36
fluent_js_version=1.0.10
fluent_py_version=0.11.1
otlp_py_version=1.45.2
versitygw_version=v1.8.0
fake_gcs_version=v1.56.1
azurite_version=3.35.0
maxminddb_version=3.2.0
kusto_py_version=6.0.4
opensearch_version=2.19.3
opensearch_sha256=760530e522de0a9f06380d4a4a43dfd83c31fa8911f41745513ce715ed5dfd03
pyarrow_version=23.0.1
duckdb_version=1.4.4
hadoop_version=3.4.1
moto_version=5.2.5
cosign_version=v3.1.3
crane_version=v0.22.1
oras_version=v1.3.6

# Each package has a folder of its own here, so what pip would say of those that are installed is no news.
export PIP_ROOT_USER_ACTION=ignore

mkdir -p "$FLITCH_CACHE"
# Two runs at once (two test binaries, two clones) take turns.
exec 9>"$FLITCH_CACHE/.lock"
flock 9

# part NAME STAMP COMMAND…: runs the command in a fresh folder, and puts that in place once it is whole.
part() {
  local name="$1" stamp="$2" folder="$FLITCH_CACHE/$1" fresh="$FLITCH_CACHE/.$1.new"
  shift 2
  if [ -f "$folder/.stamp" ] && [ "$(cat "$folder/.stamp")" = "$stamp" ]; then
    say "$name: $stamp, there already"
    return
  fi
  say "$name: fetching $stamp"
  rm -rf "$fresh"
  mkdir -p "$fresh"
  (cd "$fresh" && "$@") || die "$name: could not be fetched (see above); nothing was changed, run this again"
  printf '%s\n' "$stamp" >"$fresh/.stamp"
  rm -rf "$folder"
  mv "$fresh" "$folder"
}

# Maven checks each jar against the checksum that the repository publishes (-C: a mismatch is an
# error), and kafka.sha256 pins every one.
kafka() {
  cat >pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>flitch.tests</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_$scala_version</artifactId><version>$kafka_version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>$slf4j_version</version></dependency>
  </dependencies>
</project>
POM
  retry 3 mvn -q -B -C org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory=libs </dev/null >&2 || return 1
  (cd libs && sha256sum --quiet -c "$root/scripts/kafka.sha256") >&2
}

fluent_js() {
  retry 3 npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
    "@fluent-org/logger@$fluent_js_version" </dev/null >&2 &&
    test -d node_modules/@fluent-org/logger
}

fluent_py() {
  retry 3 python3 -m pip install --quiet --no-warn-conflicts --disable-pip-version-check --no-input --target . \
    "fluent-logger==$fluent_py_version" </dev/null >&2 &&
    test -d fluent
}

otlp_py() {
  retry 3 python3 -m pip install --quiet --no-warn-conflicts --disable-pip-version-check --no-input --target . \
    "opentelemetry-exporter-otlp-proto-http==$otlp_py_version" "opentelemetry-sdk==$otlp_py_version" </dev/null >&2 &&
    test -d opentelemetry/sdk
}

# Go's checksum database vouches for the module and all that it needs.
versitygw() {
  GOBIN="$PWD" GOFLAGS=-trimpath retry 3 go install "github.com/versity/versitygw/cmd/versitygw@$versitygw_version" \
    </dev/null >&2 && test -x versitygw
}

# The same for a server of Google Cloud Storage.
fake_gcs() {
  GOBIN="$PWD" GOFLAGS=-trimpath retry 3 go install "github.com/fsouza/fake-gcs-server@$fake_gcs_version" \
    </dev/null >&2 && test -x fake-gcs-server
}

# The same for a registry of plugins, of ours around Google's (tests/registry), whose go.sum pins what it needs.
plugin_registry() {
  cp "$root"/tests/registry/{main.go,go.mod,go.sum} . && GOFLAGS=-trimpath retry 3 go build -o registry . </dev/null >&2 &&
    rm main.go go.mod go.sum
}

# Sigstore's signer, which judges our reading of its signatures.
cosign() {
  GOBIN="$PWD" GOFLAGS=-trimpath retry 3 go install "github.com/sigstore/cosign/v3/cmd/cosign@$cosign_version" \
    </dev/null >&2 && test -x cosign
}

# Clients of registries, which judge what we push.
registry_clients() {
  GOBIN="$PWD" GOFLAGS=-trimpath retry 3 go install "github.com/google/go-containerregistry/cmd/crane@$crane_version" \
    </dev/null >&2 && GOBIN="$PWD" GOFLAGS=-trimpath retry 3 go install "oras.land/oras/cmd/oras@$oras_version" \
    </dev/null >&2 && test -x crane && test -x oras
}

# A server of OpAMP around opamp-go, whose version go.mod and go.sum of its folder pin.
opamp_server() {
  local source="$root/tests/opamp-server"
  retry 3 go build -C "$source" -trimpath -o "$PWD/opamp-server" . </dev/null >&2 && test -x opamp-server
}

# As Kafka, HDFS (hdfs.sha256); of two versions of a jar the first that is named wins.
hdfs() {
  cat >pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>flitch.tests</groupId><artifactId>hdfs</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.hadoop</groupId><artifactId>hadoop-hdfs</artifactId><version>$hadoop_version</version></dependency>
    <dependency><groupId>org.apache.hadoop</groupId><artifactId>hadoop-common</artifactId><version>$hadoop_version</version></dependency>
    <dependency><groupId>org.apache.hadoop</groupId><artifactId>hadoop-hdfs-client</artifactId><version>$hadoop_version</version></dependency>
  </dependencies>
</project>
POM
  retry 3 mvn -q -B -C org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory=libs </dev/null >&2 || return 1
  (cd libs && sha256sum --quiet -c "$root/scripts/hdfs.sha256") >&2
}

# moto, which plays S3 with the rights of IAM.
moto() {
  retry 3 python3 -m pip install --quiet --no-warn-conflicts --disable-pip-version-check --no-input --only-binary :all: --target . \
    "moto[s3,server]==$moto_version" </dev/null >&2 && test -d moto
}

# pyarrow and DuckDB, by which the tests read Parquet files.
parquet_readers() {
  retry 3 python3 -m pip install --quiet --no-warn-conflicts --disable-pip-version-check --no-input --only-binary :all: --target . \
    "pyarrow==$pyarrow_version" "duckdb==$duckdb_version" </dev/null >&2 &&
    test -d pyarrow && test -d duckdb
}

azurite() {
  retry 3 npm install --silent --no-audit --no-fund --ignore-scripts --prefix . "azurite@$azurite_version" </dev/null >&2 &&
    test -e node_modules/.bin/azurite
}

# MaxMind's databases for tests, good and hostile, as the source archive of its reader for Python holds them.
maxmind() {
  local archive="maxminddb-$maxminddb_version.tar.gz"
  retry 3 python3 -m pip download --quiet --disable-pip-version-check --no-input --no-deps \
    --no-binary :all: "maxminddb==$maxminddb_version" </dev/null >&2 &&
    tar -xzf "$archive" --strip-components=3 "maxminddb-$maxminddb_version/tests/data/test-data" \
      "maxminddb-$maxminddb_version/tests/data/bad-data" && rm "$archive" && test -f test-data/GeoLite2-City-Test.mmdb
}

# Microsoft's client, which judges the fake of their service.
kusto_py() {
  retry 3 python3 -m pip install --quiet --no-warn-conflicts --disable-pip-version-check --no-input --target . \
    "azure-kusto-ingest==$kusto_py_version" "azure-kusto-data==$kusto_py_version" </dev/null >&2 &&
    test -d azure/kusto/ingest
}

# The smallest distribution: no plugins, no Java.
opensearch() {
  local zip="opensearch-$opensearch_version.zip"
  retry 3 mvn -q -B -C org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
    -Dartifact="org.opensearch.distribution.integ-test-zip:opensearch:$opensearch_version:zip" -DoutputDirectory=. \
    </dev/null >&2 || return 1
  echo "$opensearch_sha256  $zip" | sha256sum --quiet -c >&2 || return 1
  python3 -m zipfile -e "$zip" . && rm "$zip" && mv "opensearch-$opensearch_version" opensearch &&
    chmod +x opensearch/bin/*
}

part kafka "kafka_$scala_version-$kafka_version slf4j-simple-$slf4j_version" kafka
part fluent-js "@fluent-org/logger@$fluent_js_version" fluent_js
part fluent-py "fluent-logger==$fluent_py_version" fluent_py
part otlp-py "opentelemetry-exporter-otlp-proto-http==$otlp_py_version" otlp_py
part versitygw "versitygw $versitygw_version" versitygw
part fake-gcs "fake-gcs-server $fake_gcs_version" fake_gcs
part registry "registry $(cat "$root"/tests/registry/* | sha256sum | cut -c1-16)" plugin_registry
part cosign "cosign $cosign_version" cosign
part registry-clients "crane $crane_version oras $oras_version" registry_clients
part opamp-server "$(cat "$root"/tests/opamp-server/{main.go,go.mod,go.sum} | sha256sum)" opamp_server
part azurite "azurite@$azurite_version" azurite
part maxmind "maxminddb==$maxminddb_version" maxmind
part kusto-py "azure-kusto-ingest==$kusto_py_version" kusto_py
part opensearch "opensearch-$opensearch_version" opensearch
part hdfs "hadoop-hdfs-$hadoop_version" hdfs
part moto "moto==$moto_version" moto
part parquet-readers "pyarrow==$pyarrow_version duckdb==$duckdb_version" parquet_readers
say "servers are in $FLITCH_CACHE"

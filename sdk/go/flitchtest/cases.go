// Package flitchtest runs filters natively: records in as JSON, records out as JSON, and nothing of WebAssembly.
//
// Every record has the time 1970-01-01T00:00:00Z in `@timestamp` and the tag `test` in `@tag`, unless it brings others;
// records that come out show the two only where they are others.
package flitchtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flitch.dev/flitch"
)

// Outcome is what became of records.
type Outcome struct {
	// Records is those that go on, each as JSON with its names sorted.
	Records []string
	// Rejected is the rows that were rejected, counted from 0.
	Rejected []flitch.Rejection
}

// Try configures the filter with settings, a JSON text, and runs the records, each a JSON object, through it as one batch.
// The error is why the settings are refused, why the batch as a whole is rejected, or how the answer breaks the contract.
func Try(plugin flitch.Plugin, settings string, records ...string) (Outcome, error) {
	instance, err := plugin.Configure(settings)
	if err != nil {
		return Outcome{}, err
	}
	return run(instance, records)
}

// run runs the records through a filter as one batch.
func run(instance *flitch.Instance, records []string) (Outcome, error) {
	var all []record
	for _, text := range records {
		one := record{}
		if !json.Valid([]byte(text)) || !strings.HasPrefix(strings.TrimSpace(text), "{") {
			return Outcome{}, fmt.Errorf("%s is no JSON object", text)
		}
		one.putJSON("", strings.TrimSpace(text), true)
		nanos := int64(0)
		if at, ok := one["@timestamp"]; ok {
			text, _ := at.Text()
			if nanos, ok = flitch.ParseTime(text); !ok {
				return Outcome{}, fmt.Errorf("@timestamp should be an RFC 3339 text: %s", text)
			}
		}
		one["@timestamp"] = flitch.TimeValue(nanos)
		if _, ok := one["@tag"]; !ok {
			one["@tag"] = flitch.TextValue("test")
		}
		all = append(all, one)
	}
	batch := batchOf(all)
	changes, err := instance.Apply(selected(batch, instance.Fields))
	if err != nil {
		return Outcome{}, err
	}
	going, err := applied(batch, changes)
	outcome := Outcome{Rejected: changes.Rejected}
	for _, one := range going {
		if one["@timestamp"] == flitch.TimeValue(0) {
			delete(one, "@timestamp")
		}
		if one["@tag"] == flitch.TextValue("test") {
			delete(one, "@tag")
		}
		outcome.Records = append(outcome.Records, normal(one.text()))
	}
	return outcome, err
}

// RunCases runs each folder under a folder as a test of its own, its records as one batch and each in one of its own: they
// must fare alike. A case is `settings.json`, the records `in.ndjson`, those
// that go on, `out.ndjson`, and those that do not, `rejected.ndjson`: `{"row":3,"reason":"…"}`; or `refused.txt`, what the
// filter says when it refuses the settings. `tables/<name>.ndjson` is a table with the key under `key`.
func RunCases(t *testing.T, plugin flitch.Plugin, folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, entry := range entries {
		if entry.IsDir() {
			count++
			t.Run(entry.Name(), func(t *testing.T) { runCase(t, plugin, filepath.Join(folder, entry.Name())) })
		}
	}
	if count == 0 {
		t.Fatalf("there are no cases in %s", folder)
	}
}

func runCase(t *testing.T, plugin flitch.Plugin, folder string) {
	host := NewHost(t)
	tables, err := os.ReadDir(filepath.Join(folder, "tables"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, table := range tables {
		host.Table(strings.TrimSuffix(table.Name(), filepath.Ext(table.Name())), lines(t, folder, "tables", table.Name())...)
	}
	settings := strings.Join(lines(t, folder, "settings.json"), "\n")
	records := lines(t, folder, "in.ndjson")
	outcome, err := Try(plugin, settings, records...)
	if refused, missing := os.ReadFile(filepath.Join(folder, "refused.txt")); missing == nil {
		if err == nil || err.Error() != strings.TrimSpace(string(refused)) {
			t.Fatalf("the settings should be refused with\n  %s\nand not with\n  %v", refused, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var wanted Outcome
	for _, line := range lines(t, folder, "out.ndjson") {
		wanted.Records = append(wanted.Records, normal(line))
	}
	for _, line := range lines(t, folder, "rejected.ndjson") {
		var one flitch.Rejection
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		wanted.Rejected = append(wanted.Rejected, one)
	}
	compare(t, "", outcome, wanted)
	alone, err := oneByOne(plugin, settings, records)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "each in a batch of its own: ", alone, wanted)
}

func oneByOne(plugin flitch.Plugin, settings string, records []string) (all Outcome, err error) {
	instance, err := plugin.Configure(settings)
	for row := 0; row < len(records) && err == nil; row++ {
		var one Outcome
		one, err = run(instance, records[row:row+1])
		all.Records = append(all.Records, one.Records...)
		for _, rejection := range one.Rejected {
			all.Rejected = append(all.Rejected, flitch.Rejection{Row: uint32(row), Reason: rejection.Reason})
		}
	}
	return all, err
}

func compare(t *testing.T, how string, outcome, wanted Outcome) {
	t.Helper()
	for i := range max(len(outcome.Records), len(wanted.Records)) {
		if found, should := at(outcome.Records, i), at(wanted.Records, i); found != should {
			t.Errorf("%srecord %d is\n  %s\nand should be\n  %s", how, i, found, should)
		}
	}
	if !slices.Equal(outcome.Rejected, wanted.Rejected) {
		t.Errorf("%srejected are\n  %v\nand should be\n  %v", how, outcome.Rejected, wanted.Rejected)
	}
}

func at(texts []string, place int) string {
	if place < len(texts) {
		return texts[place]
	}
	return "(none)"
}

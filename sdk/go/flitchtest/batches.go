package flitchtest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"flitch.dev/flitch"
)

// border is a case of wit/cases/batches.
type border struct {
	Settings json.RawMessage
	Refused  *string
	Fields   json.RawMessage
	Tables   map[string][]json.RawMessage
	Batch    struct {
		Rows    int
		Columns map[string]map[string][]json.RawMessage
	}
	Rejected json.RawMessage
	Out      []map[string]map[string]json.RawMessage
	Log      json.RawMessage
	Counters json.RawMessage
}

// RunBatches runs the cases of wit/cases/batches through a conformance guest, each as a test of its own.
func RunBatches(t *testing.T, plugin flitch.Plugin, folder string) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no cases in %s (%v)", folder, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runBatch(t, plugin, file) })
	}
}

func runBatch(t *testing.T, plugin flitch.Plugin, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var test border
	if err := json.Unmarshal(text, &test); err != nil {
		t.Fatal(err)
	}
	host := NewHost(t)
	for name, rows := range test.Tables {
		var texts []string
		for _, row := range rows {
			texts = append(texts, string(row))
		}
		host.Table(name, texts...)
	}
	instance, err := plugin.Configure(string(test.Settings))
	if test.Refused != nil {
		if err == nil || err.Error() != *test.Refused {
			t.Fatalf("refused with %v, and should be with %s", err, *test.Refused)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if test.Fields != nil {
		same(t, "fields", encode(instance.Fields), test.Fields, "")
	}
	batch := &flitch.Batch{Rows: test.Batch.Rows}
	for name, column := range test.Batch.Columns {
		builder := flitch.NewBuilder(name)
		for kind, values := range column {
			for _, value := range values {
				builder.Push(ofKind(t, kind, value))
			}
		}
		batch.Columns = append(batch.Columns, builder.Column())
	}
	changes, err := instance.Apply(selected(batch, instance.Fields))
	if err != nil {
		t.Fatal(err)
	}
	records, err := applied(batch, changes)
	if err != nil {
		t.Fatal(err)
	}
	log := [][2]string{}
	for _, line := range host.Lines {
		log = append(log, [2]string{[]string{"debug", "info", "warn", "error"}[line.Level], line.Text})
	}
	same(t, "log", encode(log), test.Log, "[]")
	same(t, "counters", encode(host.Counters), test.Counters, "{}")
	rejected := []map[string]any{}
	for _, one := range changes.Rejected {
		rejected = append(rejected, map[string]any{"row": one.Row, "reason": one.Reason})
	}
	same(t, "rejected", encode(rejected), test.Rejected, "[]")
	for i := range max(len(records), len(test.Out)) {
		found, wanted := "(none)", "(none)"
		if i < len(records) {
			found = shown(records[i])
		}
		if i < len(test.Out) {
			one := record{}
			for path, value := range test.Out[i] {
				for kind, text := range value {
					one[path] = ofKind(t, kind, text)
				}
			}
			wanted = shown(one)
		}
		if found != wanted {
			t.Errorf("record %d is\n  %s\nand should be\n  %s", i, found, wanted)
		}
	}
}

func same(t *testing.T, what, found string, wanted json.RawMessage, otherwise string) {
	t.Helper()
	if wanted == nil {
		wanted = json.RawMessage(otherwise)
	}
	if normal(found) != normal(string(wanted)) {
		t.Errorf("%s is\n  %s\nand should be\n  %s", what, found, wanted)
	}
}

// shown is a record with the kind of each value.
func shown(one record) string {
	text := ""
	for _, path := range one.paths() {
		value := one[path]
		inside := value.JSON()
		if bytes, ok := value.Bytes(); ok {
			inside = hex.EncodeToString(bytes)
		}
		text += fmt.Sprintf("%s: %s %s; ", path, value.Kind(), inside)
	}
	return text
}

// ofKind is a value of a case: {"int64": 5}.
func ofKind(t *testing.T, kind string, text json.RawMessage) flitch.Value {
	value := flitch.Decode(string(text))
	if string(text) == "null" {
		return flitch.Value{}
	}
	switch kind {
	case "bytes":
		digits, _ := value.Text()
		bytes, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		return flitch.BytesValue(bytes)
	case "json":
		inside, _ := value.Text()
		return flitch.JSONValue(inside)
	case "timestamp":
		nanos, _ := value.Int()
		return flitch.TimeValue(nanos)
	case "float64":
		number, _ := value.Float()
		return flitch.FloatValue(number)
	}
	return value
}

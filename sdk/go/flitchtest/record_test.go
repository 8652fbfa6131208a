package flitchtest_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"flitch.dev/flitch"
	"flitch.dev/flitch/flitchtest"
)

type settings struct {
	What  string   `json:"what" flitch:"required"`
	Limit int8     `json:"limit"`
	Rate  float64  `json:"rate"`
	Rules []rule   `json:"rules"`
	Any   any      `json:"any"`
	Name  *string  `json:"name"`
	Names []string `json:"names"`
}

type rule struct {
	Pattern string `json:"pattern" flitch:"required"`
}

type rows func(*flitch.Record) error

func (rows) Fields() []string                    { return nil }
func (f rows) Apply(record *flitch.Record) error { return f(record) }

// try runs a function over records.
func try(t *testing.T, apply rows, records ...string) flitchtest.Outcome {
	t.Helper()
	plugin := flitch.Rows(func(struct{}) (rows, error) { return apply, nil })
	outcome, err := flitchtest.Try(plugin, "", records...)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

func expect(t *testing.T, found flitchtest.Outcome, records []string, rejected ...flitch.Rejection) {
	t.Helper()
	if !slices.Equal(found.Records, records) {
		t.Errorf("records are\n  %s\nand should be\n  %s", strings.Join(found.Records, "\n  "), strings.Join(records, "\n  "))
	}
	if !slices.Equal(found.Rejected, rejected) {
		t.Errorf("rejected are %v and should be %v", found.Rejected, rejected)
	}
}

func TestSettingsAreRefusedWithTheKeyAndWhatWouldBeRight(t *testing.T) {
	plugin := flitch.Rows(func(settings) (rows, error) { return nil, nil })
	for text, why := range map[string]string{
		``:                                "settings: missing field `what`",
		`{"what":"x","wat":1}`:            "settings.wat: unknown field `wat`, expected one of `what`, `limit`, `rate`, `rules`, `any`, `name`, `names`",
		`{"what":7}`:                      "settings.what: invalid type: integer `7`, expected a string",
		`{"what":"x","limit":1.5}`:        "settings.limit: invalid type: floating point `1.5`, expected i8",
		`{"what":"x","limit":300}`:        "settings.limit: invalid type: integer `300`, expected i8",
		`{"what":"x","rate":"y"}`:         "settings.rate: invalid type: string \"y\", expected f64",
		`{"what":"x","names":{}}`:         "settings.names: invalid type: map, expected a sequence",
		`{"what":"x","names":["a",true]}`: "settings.names[1]: invalid type: boolean `true`, expected a string",
		`{"what":"x","rules":[{"pattern":"a"},{"patern":"b"}]}`: "settings.rules[1].patern: unknown field `patern`, expected `pattern`",
		`{"what":"x","rules":[{}]}`:                             "settings.rules[0]: missing field `pattern`",
		`{"what":"x","what":"y"}`:                               "settings: duplicate field `what`",
		`[]`:                                                    "settings: invalid type: sequence, expected an object",
		`{`:                                                     "settings: what stands there is no JSON",
	} {
		if _, err := plugin.Configure(text); err == nil || err.Error() != why {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := plugin.Configure(`{"what":"x","limit":-9,"rate":2,"any":[1],"name":null,"rules":[{"pattern":"a"}]}`); err != nil {
		t.Error(err)
	}
}

func TestReadsSeeWhatWasSetAndRemovedBefore(t *testing.T) {
	found := try(t, func(r *flitch.Record) error {
		r.SetText("a.b", "new")
		text, _ := r.Text("a.b")
		c, _ := r.Int("a.c")
		if text != "new" || c != 2 {
			t.Error(text, c)
		}
		if r.Remove("a"); r.Has("a.b") || r.Has("a.c") {
			t.Error("removed")
		}
		r.SetInt("a", 5)
		if r.SetFloat("d.e", 1.5); r.Has("d") {
			t.Error("a value below replaces the one above")
		}
		count := 0
		for range r.Fields() {
			count++
		}
		if count != 4 {
			t.Error(count, "fields: a, d.e and the two of the host")
		}
		return nil
	}, `{"a":{"b":1,"c":2},"d":"x"}`)
	expect(t, found, []string{`{"a":5,"d":{"e":1.5}}`})
}

func TestRecordsAreDroppedRejectedAndSplitInOrder(t *testing.T) {
	found := try(t, func(r *flitch.Record) error {
		r.SetBool("seen", true)
		switch n, _ := r.Int("n"); n {
		case 0:
			r.Drop()
		case 1:
			return errors.New("one is odd")
		case 2:
			r.Remove("tags")
			parts := []string{"a", "b", "c"}
			for i := range r.Split(len(parts)) {
				r.SetText("part", parts[i])
				if parts[i] == "b" {
					r.Drop()
				}
			}
		case 3:
			for range r.Split(0) {
			}
		case 4:
			for i := range r.Split(2) {
				if r.SetInt("n", int64(i)); i == 1 {
					return errors.New("half of it is bad")
				}
			}
		}
		return nil
	}, `{"n":0}`, `{"n":1}`, `{"n":2,"tags":["x"]}`, `{"n":3}`, `{"n":4}`, `{"n":5,"tags":["x"]}`)
	expect(t, found, []string{`{"n":2,"part":"a","seen":true}`, `{"n":2,"part":"c","seen":true}`, `{"n":5,"seen":true,"tags":["x"]}`},
		flitch.Rejection{Row: 1, Reason: "one is odd"}, flitch.Rejection{Row: 4, Reason: "half of it is bad"})
}

func TestAPanicRejectsItsRecordAndNoOther(t *testing.T) {
	found := try(t, func(r *flitch.Record) error {
		r.SetBool("seen", true)
		if r.Has("nil") {
			var none *settings
			r.SetText("x", none.What)
		}
		if r.Has("bad") {
			for range r.Split(2) {
				panic("a \xff text")
			}
		}
		return nil
	}, `{"n":1}`, `{"bad":1}`, `{"nil":1}`, `{"n":2}`)
	expect(t, found, []string{`{"n":1,"seen":true}`, `{"n":2,"seen":true}`}, flitch.Rejection{Row: 1, Reason: "panic: a \ufffd text"},
		flitch.Rejection{Row: 2, Reason: "panic: runtime error: invalid memory address or nil pointer dereference"})
}

func TestNoValueSpoilsItsNeighbours(t *testing.T) {
	found := try(t, func(r *flitch.Record) error {
		if r.SetText("t", "a\xff"); r.Get("t").Kind() != flitch.Bytes {
			t.Error(r.Get("t").Kind())
		}
		switch n, _ := r.Int("n"); n {
		case 1:
			return r.SetJSON("j", json.RawMessage(`{"a":`))
		case 2:
			r.Set("j", flitch.JSONValue("[1 2]"))
		case 3:
			r.SetInt("a\xff", 1)
		case 4:
			r.Set("j", flitch.JSONValue(" [1,\n 2.50] "))
		}
		return nil
	}, `{"n":0}`, `{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`)
	expect(t, found, []string{`{"n":0,"t":"a�"}`, `{"j":[1,2.5],"n":4,"t":"a�"}`},
		flitch.Rejection{Row: 1, Reason: "json: error calling MarshalJSON for type json.RawMessage: unexpected end of JSON input"},
		flitch.Rejection{Row: 2, Reason: "what the filter sets as `j` is no JSON"},
		flitch.Rejection{Row: 3, Reason: "the name of a field is not UTF-8: a�"})
}

func TestATimeThatNoColumnHoldsRejectsTheRecord(t *testing.T) {
	found := try(t, func(r *flitch.Record) error {
		year, _ := r.Int("year")
		r.SetTime("at", time.Date(int(year), 1, 2, 3, 4, 5, 600, time.UTC))
		return nil
	}, `{"year":1969}`, `{"year":2300}`)
	expect(t, found, []string{`{"at":"1969-01-02T03:04:05.0000006Z","year":1969}`},
		flitch.Rejection{Row: 1, Reason: "the time of `at` lies outside the years 1678 to 2261: 2300-01-02T03:04:05Z"})
}

func TestKeysOfABatchAreLookedUpAtItsEnd(t *testing.T) {
	host := flitchtest.NewHost(t)
	host.Table("t", `{"key":"a","owner":"A"}`, `{"key":"late","owner":"L"}`, `{"key":"split","owner":7}`)
	found := try(t, func(r *flitch.Record) error {
		key, ok := r.Text("k")
		if !ok {
			return nil
		}
		table := "t"
		if key == "bytes" {
			key = "\xff"
		}
		if key == "none" {
			table = "missing"
		}
		r.SetText("o", "before")
		if err := r.Enrich(table, key, "owner", "o"); err != nil {
			return err
		}
		switch key {
		case "late":
			r.SetText("o", "after")
		case "split":
			for i := range r.Split(2) {
				r.SetInt("part", int64(i))
			}
		}
		return nil
	}, `{"k":"a"}`, `{"k":"b"}`, `{}`, `{"k":"none"}`, `{"k":"late"}`, `{"k":"split"}`, `{"k":"bytes"}`)
	expect(t, found, []string{`{"k":"a","o":"A"}`, `{"k":"b","o":"before"}`, `{}`, `{"k":"late","o":"after"}`, `{"k":"split","o":7,"part":0}`, `{"k":"split","o":7,"part":1}`, `{"k":"bytes","o":"before"}`},
		flitch.Rejection{Row: 3, Reason: "there is no such table"})
}

func TestWhatATableHasReplacesWhatStandsAboveAndBelowAndMustHaveARightToItsName(t *testing.T) {
	host := flitchtest.NewHost(t)
	host.Table("t", `{"key":"text","owner":"A","at":"B"}`, `{"key":"number","owner":7}`)
	found := try(t, func(r *flitch.Record) error {
		key, _ := r.Text("k")
		r.SetInt("a.b", 1)
		if err := r.Enrich("t", key, "at", "a"); err != nil {
			return err
		}
		return r.Enrich("t", key, "owner", "@tag")
	}, `{"k":"text"}`, `{"k":"number"}`, `{"k":"none"}`)
	expect(t, found, []string{`{"@tag":"A","a":"B","k":"text"}`, `{"a":{"b":1},"k":"none"}`},
		flitch.Rejection{Row: 1, Reason: "`@tag` must be text"})
}

func TestOfSeveralReasonsTheFirstOneIsTold(t *testing.T) {
	found := try(t, func(r *flitch.Record) error {
		r.Reject("first")
		r.Reject("second")
		return errors.New("third")
	}, `{}`)
	expect(t, found, nil, flitch.Rejection{Row: 0, Reason: "first"})
	found = tryColumns(t, func(_ *flitch.Batch, changes *flitch.Changes) error {
		changes.Reject(1, "first")
		changes.Reject(0, "of another row")
		changes.Reject(1, "second")
		changes.Build("seen").PushInt(2)
		return nil
	}, `{}`, `{}`, `{}`)
	expect(t, found, []string{`{"seen":2}`}, flitch.Rejection{Row: 1, Reason: "first"}, flitch.Rejection{Row: 0, Reason: "of another row"})
}

func TestNullFitsWhatCanBeNull(t *testing.T) {
	try(t, func(r *flitch.Record) error {
		slice, number, pointer := []string{"kept"}, 5, new(int)
		var anything any = 1
		var raw json.RawMessage
		if r.JSON("n", &slice) || r.JSON("n", &number) || !r.JSON("n", &pointer) || !r.JSON("n", &anything) || !r.JSON("n", &raw) {
			t.Error(slice, number, pointer, anything, raw)
		}
		if pointer != nil || anything != nil || string(raw) != "null" || number != 5 || len(slice) != 1 {
			t.Error(slice, number, pointer, anything, raw)
		}
		if !r.JSON("a", &slice) || slice[0] != "x" || r.JSON("missing", &anything) || r.JSON("a", nil) {
			t.Error(slice)
		}
		return nil
	}, `{"n":null,"a":["x"]}`)
}

type columns func(*flitch.Batch, *flitch.Changes) error

func (columns) Fields() []string                                           { return nil }
func (f columns) Apply(batch *flitch.Batch, changes *flitch.Changes) error { return f(batch, changes) }

// tryColumns runs a function over records as columns.
func tryColumns(t *testing.T, apply columns, records ...string) flitchtest.Outcome {
	t.Helper()
	plugin := flitch.Columns(func(struct{}) (columns, error) { return apply, nil })
	outcome, err := flitchtest.Try(plugin, "", records...)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

func TestAFieldIsFoundInItsColumnAndInsideOfObjectsThatHaveNoColumns(t *testing.T) {
	column := func(name string, values ...flitch.Value) flitch.Column {
		builder := flitch.NewBuilder(name)
		for _, value := range values {
			builder.Push(value)
		}
		return builder.Column()
	}
	none := flitch.Value{}
	batch := &flitch.Batch{Rows: 4, Columns: []flitch.Column{
		column("last", none, flitch.TextValue("own"), none, none),
		column("p", none, flitch.JSONValue(`{"q.r":1}`), flitch.JSONValue("[1]"), none),
		column("@rest", flitch.JSONValue(`{"last":"x","p":{"q.r":2.0}}`), none, flitch.JSONValue(`{"last":1.5,"last":2}`), none),
	}}
	for path, wanted := range map[string]string{
		"last":    `"x" "own" 2 - `,
		`p.q\.r`:  `2.0 1 - - `,
		"@rest":   `{"last":"x","p":{"q.r":2.0}} - {"last":1.5,"last":2} - `,
		"missing": "",
	} {
		found := ""
		if column := batch.Find(path); column != nil {
			for row := range batch.Rows {
				if value := column.At(row); value.Kind() == flitch.Absent {
					found += "- "
				} else {
					found += value.JSON() + " "
				}
			}
		}
		if found != wanted {
			t.Errorf("%s: %s", path, found)
		}
	}
}

type lengths struct{}

func (lengths) Fields() []string { return []string{"message"} }

func (lengths) Apply(batch *flitch.Batch, changes *flitch.Changes) error {
	messages := batch.Column("message")
	length, mixed := changes.Build("length"), changes.Build("mixed")
	for row := range batch.Rows {
		text, ok := messages.Blob(row)
		switch {
		case text == "fail":
			return errors.New("a message says fail")
		case text == "panic":
			panic("a message says panic")
		case text == "bad":
			changes.Reject(row, "it is bad")
			continue
		case !ok:
			length.PushAbsent()
			mixed.PushAbsent()
			continue
		}
		length.PushInt(int64(len(text)))
		if row%2 == 0 {
			mixed.Push(flitch.TimeValue(-1))
		} else {
			mixed.PushText(text)
		}
	}
	changes.Remove = append(changes.Remove, flitch.Removal{Path: "message"})
	return nil
}

func TestAFilterSeesWholeColumns(t *testing.T) {
	plugin := flitch.Columns(func(struct{}) (lengths, error) { return lengths{}, nil })
	found, err := flitchtest.Try(plugin, "", `{"message":"abc"}`, `{"message":"bad"}`, `{"n":1}`, `{"message":""}`)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, found, []string{`{"length":3,"mixed":"1969-12-31T23:59:59.999999999Z"}`, `{"n":1}`, `{"length":0,"mixed":""}`}, flitch.Rejection{Row: 1, Reason: "it is bad"})
	for _, word := range []string{"fail", "panic"} {
		if _, err := flitchtest.Try(plugin, "", `{"message":"`+word+`"}`); err == nil || !strings.HasSuffix(err.Error(), "a message says "+word) {
			t.Error(err)
		}
	}
}

func TestABatchThatNothingHappensToHasTheEmptyRecordOfChanges(t *testing.T) {
	plugin := flitch.Rows(func(struct{}) (rows, error) { return func(*flitch.Record) error { return nil }, nil })
	instance, err := plugin.Configure("{}")
	if err != nil {
		t.Fatal(err)
	}
	changes, err := instance.Apply(&flitch.Batch{Rows: 2})
	if err != nil || changes.Takes || len(changes.Set)+len(changes.Remove)+len(changes.Rejected) > 0 {
		t.Error(changes, err)
	}
}

func TestABatchIsAnsweredAsIfThereHadBeenNoneBefore(t *testing.T) {
	plugin := flitch.Rows(func(struct{}) (rows, error) {
		return func(r *flitch.Record) error {
			if text, ok := r.Text("k"); ok {
				r.SetText(text, text)
			} else {
				r.SetInt("n", 1)
			}
			return nil
		}, nil
	})
	instance, err := plugin.Configure("{}")
	if err != nil {
		t.Fatal(err)
	}
	keys := flitch.NewBuilder("k")
	keys.PushText("n")
	keys.PushText("other")
	with := &flitch.Batch{Rows: 2, Columns: []flitch.Column{keys.Column()}}
	for range 3 {
		for _, batch := range []*flitch.Batch{with, {Rows: 1}} {
			changes, err := instance.Apply(batch)
			if err != nil {
				t.Fatal(err)
			}
			kind, count := flitch.Text, 2
			if batch != with {
				kind, count = flitch.Int, 1
			}
			if len(changes.Set) != count || changes.Set[0].Name != "n" || changes.Set[0].Kind != kind {
				t.Fatal(changes.Set)
			}
		}
	}
}

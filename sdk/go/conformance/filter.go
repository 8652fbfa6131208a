// The conformance guest of the Go SDK. It does what its settings say, step by step, so that the cases under
// `wit/cases/batches` can hold it to the contract; `wit/cases/README.md` has the steps.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"flitch.dev/flitch"
	_ "flitch.dev/flitch/state"
)

// Settings is what the guest does.
type Settings struct {
	// Fields is what it asks for; all fields if there are none.
	Fields []string `json:"fields"`
	// Refuse is why it refuses these settings.
	Refuse *string `json:"refuse"`
	// Steps is what it does with each record.
	Steps []Step `json:"steps"`
}

// Step is one step.
type Step struct {
	// If is the field that a record must have for the step to be done.
	If      *string         `json:"if"`
	Do      string          `json:"do" flitch:"required"`
	Reason  string          `json:"reason"`
	Field   string          `json:"field"`
	Value   json.RawMessage `json:"value"`
	Nanos   int64           `json:"ns"`
	Bytes   []uint16        `json:"bytes"`
	From    string          `json:"from"`
	To      string          `json:"to"`
	Level   string          `json:"level"`
	Message string          `json:"message"`
	Counter string          `json:"counter"`
	By      uint64          `json:"by"`
	Table   string          `json:"table"`
	Key     string          `json:"key"`
	Want    []string        `json:"want"`
}

// Guest is the filter.
type Guest struct {
	settings Settings
	number   int64
}

// New makes the filter.
func New(settings Settings) (*Guest, error) {
	if settings.Refuse != nil {
		return nil, errors.New(*settings.Refuse)
	}
	return &Guest{settings: settings}, nil
}

// Fields is what the settings say.
func (g *Guest) Fields() []string { return g.settings.Fields }

// Apply does the steps.
func (g *Guest) Apply(record *flitch.Record) error {
	for i := range g.settings.Steps {
		step := &g.settings.Steps[i]
		if step.If != nil && !record.Has(*step.If) {
			continue
		}
		if step.Do == "number" {
			g.number++
			record.SetInt(step.To, g.number)
		} else if err := step.act(record); err != nil {
			return err
		}
	}
	return nil
}

// Save is how many records were numbered.
func (g *Guest) Save() []byte { return fmt.Appendf(nil, "1 %d", g.number) }

// Restore goes on from there.
func (g *Guest) Restore(saved []byte) error {
	version, number, _ := bytes.Cut(saved, []byte(" "))
	if string(version) != "1" {
		return errors.New("its format is not known")
	}
	counted, err := strconv.ParseInt(string(number), 10, 64)
	g.number += counted
	return err
}

func (s *Step) act(record *flitch.Record) error {
	switch s.Do {
	case "drop":
		record.Drop()
	case "reject":
		record.Reject(s.Reason)
	case "set":
		return record.SetJSON(s.Field, s.Value)
	case "set_time":
		record.SetNanos(s.Field, s.Nanos)
	case "set_bytes":
		bytes := make([]byte, len(s.Bytes))
		for i, number := range s.Bytes {
			bytes[i] = byte(number)
		}
		record.SetBytes(s.Field, bytes)
	case "copy":
		record.Set(s.To, record.Get(s.From))
	case "remove":
		record.Remove(s.Field)
	case "split":
		var items []json.RawMessage
		if !record.JSON(s.Field, &items) {
			return fmt.Errorf("%s is no array", s.Field)
		}
		for i := range record.Split(len(items)) {
			if err := record.SetJSON(s.To, items[i]); err != nil {
				return err
			}
		}
	case "log":
		write := map[string]func(string, ...any){"debug": flitch.Debug, "info": flitch.Info, "warn": flitch.Warn, "error": flitch.Error}
		write[s.Level]("%s", s.Message)
	case "count":
		flitch.Count(s.Counter, s.By)
	case "lookup":
		return s.lookup(record)
	default:
		return s.misbehave(record)
	}
	return nil
}

func (s *Step) lookup(record *flitch.Record) error {
	key, err := record.NeedText(s.Key)
	if err != nil {
		return err
	}
	keys := flitch.NewBuilder(s.Key)
	keys.PushText(key)
	column := keys.Column()
	found, err := flitch.Lookup(s.Table, &column, s.Want...)
	for i := range found {
		value := found[i].At(0)
		if value.Kind() == flitch.JSON {
			value = flitch.Decode(value.JSON())
		}
		record.Set(found[i].Name, value)
	}
	return err
}

func init() { flitch.Export(flitch.Rows(New)) }

func main() {}

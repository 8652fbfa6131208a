package flitch

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
)

// one is a line of wit/cases/values.
type one struct {
	Path          string
	Names         []string
	JSON          []string
	Canonical     *string
	AndAbove      []string `json:"and_above"`
	Below         *bool
	Inner, Outer  string
	Paths         []string
	Contradiction []string
	In, Out, Kind string
	Wrong         bool
	NS, Lenient   json.RawMessage
	Value         map[string]json.RawMessage
	Plain         *string
}

// each runs a test for each line of a file of cases.
func each(t *testing.T, file string, run func(t *testing.T, c one)) {
	lines, err := os.Open("../../wit/cases/values/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	count := 0
	for scanner := bufio.NewScanner(lines); scanner.Scan(); count++ {
		line := scanner.Text()
		var c one
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		t.Run(line, func(t *testing.T) { run(t, c) })
	}
	if count < 10 {
		t.Fatalf("%d cases", count)
	}
}

func TestPaths(t *testing.T) {
	each(t, "paths.ndjson", func(t *testing.T, c one) {
		switch {
		case c.Names != nil:
			if found := PathNames(c.Path); !slices.Equal(found, c.Names) {
				t.Errorf("names %q", found)
			}
			wanted, path := c.Path, ""
			if c.Canonical != nil {
				wanted = *c.Canonical
			}
			for i := range c.Names {
				quoted, _ := json.Marshal(c.Names[i])
				if c.JSON != nil {
					quoted = []byte(`"` + c.JSON[i] + `"`)
				}
				for name := range items(fmt.Sprintf("{%s:7}", quoted)) {
					path = PushName(path, name, i == 0)
				}
			}
			if path != wanted {
				t.Errorf("path %q", path)
			}
		case c.AndAbove != nil:
			found := []string{c.Path}
			for path, ok := PathAbove(c.Path); ok; path, ok = PathAbove(path) {
				found = append(found, path)
			}
			if !slices.Equal(found, c.AndAbove) {
				t.Errorf("%q", found)
			}
		case c.Below != nil:
			if IsBelow(c.Inner, c.Outer) != *c.Below {
				t.Error("not so")
			}
		default:
			var found []string
			for i, path := range c.Paths {
				at := slices.IndexFunc(c.Paths[:i], func(before string) bool { return Overlap(before, path) })
				if at >= 0 && found == nil {
					found = []string{c.Paths[at], path}
				}
			}
			if !slices.Equal(found, c.Contradiction) {
				t.Errorf("%q", found)
			}
		}
	})
}

func TestNumbers(t *testing.T) {
	each(t, "numbers.ndjson", func(t *testing.T, c one) {
		_, length := readNumber(c.In)
		if isNumber := length == len(c.In) && json.Valid([]byte(c.In)); isNumber == c.Wrong {
			t.Fatal(isNumber)
		}
		if c.Wrong {
			return
		}
		value := Decode(c.In)
		kind := map[Kind]string{Int: "int64", Float: "float64", JSON: "json"}[value.Kind()]
		if kind != c.Kind || value.JSON() != c.Out {
			t.Error(kind, value.JSON())
		}
	})
}

func TestTimes(t *testing.T) {
	each(t, "times.ndjson", func(t *testing.T, c one) {
		if c.Lenient == nil {
			c.Lenient = c.NS
		}
		shown := func(nanos int64, ok bool) string {
			if !ok {
				return "null"
			}
			return fmt.Sprint(nanos)
		}
		if found := shown(ParseTime(c.In)); found != string(c.NS) {
			t.Error(found)
		}
		if found := shown(ParseTimeLenient(c.In)); found != string(c.Lenient) {
			t.Error("lenient", found)
		}
		if nanos, ok := ParseTime(c.In); ok && FormatTime(nanos) != c.Out {
			t.Error(FormatTime(nanos))
		}
	})
}

func TestJSONTexts(t *testing.T) {
	kinds := map[Kind]string{Text: "text", Bytes: "bytes", Int: "int64", Float: "float64", Bool: "boolean", Time: "timestamp", JSON: "json"}
	each(t, "json.ndjson", func(t *testing.T, c one) {
		// The host hands over the canonical form.
		value := Decode(c.Out)
		wanted := Decode(string(c.Value[kinds[value.Kind()]]))
		switch value.Kind() {
		case Bytes:
			digits, _ := wanted.Text()
			bytes, _ := hex.DecodeString(digits)
			wanted = BytesValue(bytes)
		case Time:
			nanos, _ := wanted.Int()
			wanted = TimeValue(nanos)
		case JSON:
			text, _ := wanted.Text()
			wanted = JSONValue(text)
		}
		if value != wanted {
			t.Errorf("%v %q", value.Kind(), value.JSON())
		}
		plain := c.Out[skipSpace(c.Out, 0):]
		if c.Plain != nil {
			plain = *c.Plain
		}
		if found := JSONValue(c.Out).JSON(); found != plain {
			t.Errorf("plain %q", found)
		}
		if again := Decode(mixedText(value)); again != value {
			t.Errorf("again %q", mixedText(value))
		}
		if form := canonical(c.In); c.In[0] != ' ' && form != c.Out && c.Value["json"] == nil {
			t.Errorf("canonical %q", form)
		}
	})
}

func TestWhatIsNotUTF8IsReplacedPartByPart(t *testing.T) {
	for in, out := range map[string]string{"a\xffb": "a\ufffdb", "\xe2\x82": "\ufffd", "\xe2\x82\xe2\x82\xac": "\ufffd€", "\xed\xa0\x80": "\ufffd\ufffd\ufffd", "ä": "ä"} {
		if found := validUTF8(in); found != out {
			t.Errorf("%q is %q", in, found)
		}
	}
}

package main

import (
	"reflect"
	"testing"

	"flitch.dev/flitch"
	"flitch.dev/flitch/flitchtest"
)

func TestTheDomainIsAddedAndSomeAreDropped(t *testing.T) {
	outcome, err := flitchtest.Try(plugin, `{"field": "email", "drop": ["spam.example"]}`,
		`{"email": "someone@Hotmail.com", "n": 1}`,
		`{"email": "x@spam.example"}`,
		`{"email": "nobody"}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	wanted := flitchtest.Outcome{
		Records:  []string{`{"email":"someone@Hotmail.com","n":1,"user_email_domain":"hotmail.com"}`},
		Rejected: []flitch.Rejection{{Row: 2, Reason: `"nobody" is no address`}},
	}
	if !reflect.DeepEqual(outcome, wanted) {
		t.Error(outcome)
	}
}

func TestCases(t *testing.T) { flitchtest.RunCases(t, plugin, "cases") }

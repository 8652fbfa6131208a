package main

import (
	"testing"

	"flitch.dev/flitch"
	"flitch.dev/flitch/flitchtest"
)

func TestTheCasesOfEverySDK(t *testing.T) {
	flitchtest.RunCases(t, flitch.Rows(New), "../../example/cases")
}

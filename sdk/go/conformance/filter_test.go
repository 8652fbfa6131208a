package main

import (
	"testing"

	"flitch.dev/flitch"
	"flitch.dev/flitch/flitchtest"
)

// flitch's own tests run the cases through the component.
func TestTheGuestAnswersAsTheContractSays(t *testing.T) {
	flitchtest.RunBatches(t, flitch.Rows(New), "../../../wit/cases/batches")
}

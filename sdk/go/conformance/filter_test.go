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

func TestAFilterSaysWhatItRemembersAndTakesItAgain(t *testing.T) {
	configured := func() *flitch.Instance {
		instance, err := flitch.Rows(New).Configure("{}")
		if err != nil {
			t.Fatal(err)
		}
		return instance
	}
	instance := configured()
	for _, saved := range []string{"1 4", "1 3"} {
		if err := instance.Restore([]byte(saved)); err != nil {
			t.Fatal(err)
		}
	}
	if saved := string(instance.Save()); saved != "1 7" {
		t.Fatalf("it saved %q", saved)
	}
	if err := configured().Restore([]byte("2 7")); err == nil || err.Error() != "its format is not known" {
		t.Fatalf("it took another format: %v", err)
	}
}

// Adds the domain of an e-mail address, and drops what comes from some of them.
package main

import (
	"fmt"
	"slices"
	"strings"

	"flitch.dev/flitch"
)

// Settings is what stands under `settings` in the configuration.
type Settings struct {
	// The field that holds the address.
	Field string `json:"field" flitch:"required"`
	// Domains whose records are dropped.
	Drop []string `json:"drop"`
}

type emailDomain struct{ settings Settings }

func newFilter(settings Settings) (*emailDomain, error) {
	return &emailDomain{settings}, nil
}

// Fields is what the filter wants to see.
func (f *emailDomain) Fields() []string { return []string{f.settings.Field} }

// Apply says what becomes of a record. An error rejects it.
func (f *emailDomain) Apply(record *flitch.Record) error {
	address, err := record.NeedText(f.settings.Field)
	if err != nil {
		return err
	}
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return fmt.Errorf("%q is no address", address)
	}
	domain := strings.ToLower(address[at+1:])
	if slices.Contains(f.settings.Drop, domain) {
		record.Drop()
		return nil
	}
	record.SetText("user_email_domain", domain)
	return nil
}

var plugin = flitch.Rows(newFilter)

func init() { flitch.Export(plugin) }

func main() {}

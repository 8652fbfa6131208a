package main

import (
	"fmt"
	"os"
	"strings"

	"flitch.dev/flitch"
)

var hoard [][]byte

// misbehave is what no filter should do, so that a test can see that the host survives it in this language.
func (s *Step) misbehave(record *flitch.Record) error {
	switch s.Do {
	case "throw":
		panic(s.Message)
	case "trap":
		os.Exit(1)
	case "spin":
		for {
		}
	case "eat":
		for {
			hoard = append(hoard, make([]byte, 1<<20))
		}
	case "recurse":
		return s.misbehave(record)
	case "answer":
		// A name longer than the host takes.
		record.SetInt(strings.Repeat("b", 64<<10), 1)
		return nil
	}
	return fmt.Errorf("there is no step `%s`", s.Do)
}

module flitch.dev/flitch

go 1.24

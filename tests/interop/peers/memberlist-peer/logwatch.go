package main

import (
	"io"
	"regexp"
)

// logWatch passes the library's log on, and reports as events the facts it tells only there:
// it has no hook for a suspicion raised, a suspicion refuted, or a probe saved by TCP.
type logWatch struct {
	out *output
	to  io.Writer
}

var watched = []struct {
	event   string
	pattern *regexp.Regexp
}{
	{"suspected", regexp.MustCompile(`memberlist: Suspect (\S+) has failed`)},
	{"refuting", regexp.MustCompile(`memberlist: Refuting an? \w+ message.* \(from: (\S+)\)`)},
	{"fallback", regexp.MustCompile(`memberlist: Was able to connect to (\S+) over TCP but UDP probes failed`)},
}

func (w *logWatch) Write(line []byte) (int, error) {
	for _, watch := range watched {
		if match := watch.pattern.FindSubmatch(line); match != nil {
			w.out.write(object{"event": watch.event, "name": string(match[1])})
		}
	}
	return w.to.Write(line)
}

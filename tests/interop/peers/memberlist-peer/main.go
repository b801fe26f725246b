// Command memberlist-peer is one node of HashiCorp memberlist, driven over standard input and output.
//
// The first line of input is the node's configuration, every further line a command; each is one JSON
// object. Every line of output is one JSON object: a reply to a command, or an event the library
// reported. The library's log goes to standard error. The process ends when its input ends, so a test
// that dies takes its peers with it. tests/interop/README.md lists the commands and events.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// lineMax bounds one line of input: a message of megabytes, in hex, is a legitimate command.
const lineMax = 64 << 20

// output writes one JSON object a line; replies and events of many goroutines meet here.
type output struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

type object map[string]any

func (o *output) write(line object) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if err := o.encoder.Encode(line); err != nil {
		os.Exit(1) // nobody reads any more
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "memberlist-peer:", err)
		os.Exit(1)
	}
}

func run() error {
	out := &output{encoder: json.NewEncoder(os.Stdout)}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 64<<10), lineMax)
	if !lines.Scan() {
		return fmt.Errorf("no configuration on standard input")
	}
	settings, err := parseSettings(lines.Bytes())
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	peer, err := start(settings, out)
	if err != nil {
		return err
	}
	local := peer.list.LocalNode()
	out.write(object{"event": "started", "name": local.Name, "address": local.Addr.String(), "port": local.Port})
	for lines.Scan() {
		var command command
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			return fmt.Errorf("command: %w", err)
		}
		if command.Do == "shutdown" {
			err := peer.list.Shutdown()
			out.write(reply(command.ID, nil, err))
			return err
		}
		go func() {
			value, err := peer.execute(&command)
			out.write(reply(command.ID, value, err))
		}()
	}
	return lines.Err()
}

func reply(id int64, value any, err error) object {
	if err != nil {
		return object{"reply": id, "error": err.Error()}
	}
	return object{"reply": id, "value": value}
}

// Command memberlist-bench is the Go side of the benchmarks: a memberlist v0.7.0 node to be loaded,
// and the library's queue and its codec, timed.
//
// `memberlist-bench node SETTINGS` takes a JSON object and prints {"port": N}. After that every
// line on standard input is answered with the node's counters; it ends with its input.
// `memberlist-bench queue`, `memberlist-bench codec` and `memberlist-bench swarm NODES` print one JSON
// object.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
)

func main() {
	var result any
	if len(os.Args) < 2 {
		log.Fatal("a mode is missing: node, queue, codec or swarm")
	}
	switch os.Args[1] {
	case "node":
		if err := runNode(os.Args[2]); err != nil {
			log.Fatal(err)
		}
		return
	case "queue":
		result = timeQueue()
	case "swarm":
		result = runSwarm(os.Args[2])
	case "codec":
		result = timeCodec()
	default:
		log.Fatalf("there is no mode %q", os.Args[1])
	}
	print(result)
}

func print(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}

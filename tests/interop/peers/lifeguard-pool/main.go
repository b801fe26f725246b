// lifeguard-pool runs one of Lifeguard's interval experiments with real memberlist nodes on
// loopback, all in this process: some of them are blocked again and again, and the failures that
// members that were never blocked are wrongly said to have are counted. It prints one line of JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

var (
	nodes  = flag.Int("nodes", 128, "members")
	slow   = flag.Int("slow", 4, "members that are blocked")
	block  = flag.Duration("block", 16384*time.Millisecond, "how long they are")
	gap    = flag.Duration("gap", 256*time.Millisecond, "how long they run in between")
	length = flag.Duration("length", 120*time.Second, "of the experiment")
	quiet  = flag.Duration("quiet", 15*time.Second, "before it")
	alpha  = flag.Int("alpha", 5, "SuspicionMult")
	beta   = flag.Int("beta", 6, "SuspicionMaxTimeoutMult")
	health = flag.Int("health", 8, "AwarenessMaxMultiplier")
)

type result struct {
	FalsePositives int64 `json:"false_positives"`
	AtHealthy      int64 `json:"at_healthy"`
	Detected       int64 `json:"detected"`
	Cycles         int   `json:"cycles"`
}

// watcher counts the failures one member is told of, once the experiment has begun.
type watcher struct {
	began  *atomic.Bool
	slow   bool
	guilty map[string]bool
	counts *result
}

func (w *watcher) NotifyJoin(*memberlist.Node)   {}
func (w *watcher) NotifyUpdate(*memberlist.Node) {}

func (w *watcher) NotifyLeave(node *memberlist.Node) {
	if !w.began.Load() {
		return
	}
	if w.guilty[node.Name] {
		atomic.AddInt64(&w.counts.Detected, 1)
		return
	}
	atomic.AddInt64(&w.counts.FalsePositives, 1)
	if !w.slow {
		atomic.AddInt64(&w.counts.AtHealthy, 1)
	}
}

func member(name string, watch *watcher) (*memberlist.Memberlist, *gate, error) {
	quietly := log.New(io.Discard, "", 0)
	inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
		BindAddrs: []string{"127.0.0.1"}, BindPort: 0, Logger: quietly})
	if err != nil {
		return nil, nil, err
	}
	gate := newGate()
	config := memberlist.DefaultLANConfig()
	config.Name = name
	config.BindAddr = "127.0.0.1"
	config.BindPort = inner.GetAutoBindPort()
	config.AdvertisePort = config.BindPort
	config.SuspicionMult = *alpha
	config.SuspicionMaxTimeoutMult = *beta
	config.AwarenessMaxMultiplier = *health
	config.Logger = quietly
	config.Events = watch
	config.Transport = newBlockable(inner, gate)
	list, err := memberlist.Create(config)
	return list, gate, err
}

func run() (*result, error) {
	var began atomic.Bool
	counts := &result{}
	guilty := map[string]bool{}
	for number := 0; number < *slow; number++ {
		guilty[fmt.Sprintf("node-%d", number)] = true
	}
	var lists []*memberlist.Memberlist
	var gates []*gate
	for number := 0; number < *nodes; number++ {
		name := fmt.Sprintf("node-%d", number)
		list, gate, err := member(name, &watcher{&began, guilty[name], guilty, counts})
		if err != nil {
			return nil, err
		}
		if number > 0 {
			if _, err := list.Join([]string{lists[0].LocalNode().Address()}); err != nil {
				return nil, err
			}
		}
		lists = append(lists, list)
		gates = append(gates, gate)
	}
	time.Sleep(*quiet)
	for _, list := range lists {
		if list.NumMembers() != *nodes {
			return nil, fmt.Errorf("a member knows %d of %d", list.NumMembers(), *nodes)
		}
	}
	began.Store(true)
	for start := time.Now(); time.Since(start) < *length; counts.Cycles++ {
		for number := 0; number < *slow; number++ {
			gates[number].set(true)
		}
		time.Sleep(*block)
		for number := 0; number < *slow; number++ {
			gates[number].set(false)
		}
		time.Sleep(*gap)
	}
	return counts, nil
}

func main() {
	flag.Parse()
	counts, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(counts)
}

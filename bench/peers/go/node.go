package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"os"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

type settings struct {
	Name       string `json:"name"`
	Key        string `json:"key"` // hex
	Label      string `json:"label"`
	Compress   bool   `json:"compress"`
	QueueDepth int    `json:"queue_depth"` // 0: the library's own
	Quiet      bool   `json:"quiet"`       // no probes, no gossip, no push/pull of its own
}

// counter counts the alive messages that reached the state machine.
type counter struct{ alives atomic.Int64 }

func (c *counter) NotifyAlive(*memberlist.Node) error {
	c.alives.Add(1)
	return nil
}

func runNode(text string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	seen := &counter{}
	config := memberlist.DefaultLANConfig()
	config.Name = s.Name
	config.BindAddr = "127.0.0.1"
	config.BindPort = 0
	config.AdvertiseAddr = "127.0.0.1"
	config.Label = s.Label
	config.EnableCompression = s.Compress
	config.Alive = seen
	config.Logger = log.New(io.Discard, "", 0)
	if s.QueueDepth > 0 {
		config.HandoffQueueDepth = s.QueueDepth
	}
	if s.Quiet {
		config.ProbeInterval = time.Hour
		config.GossipInterval = time.Hour
		config.PushPullInterval = 0
	}
	if s.Key != "" {
		key, err := hex.DecodeString(s.Key)
		if err != nil {
			return err
		}
		config.SecretKey = key
	}
	list, err := memberlist.Create(config)
	if err != nil {
		return err
	}
	print(map[string]any{"port": list.LocalNode().Port})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		print(map[string]any{"members": list.NumMembers(), "alives": seen.alives.Load()})
	}
	return nil
}

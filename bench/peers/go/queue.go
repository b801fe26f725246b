package main

import (
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
)

// claim is a broadcast about one node: it replaces an older one of that name.
type claim struct {
	name string
	body []byte
}

func (c *claim) Invalidates(memberlist.Broadcast) bool { return false }
func (c *claim) Name() string                          { return c.name }
func (c *claim) Message() []byte                       { return c.body }
func (c *claim) Finished()                             {}

// timeQueue fills packets of 1,400 bytes from queues of several depths: best ns for one packet.
func timeQueue() any {
	best := map[string]int64{}
	for _, depth := range []int{10, 1000, 10000, 100000} {
		queue := &memberlist.TransmitLimitedQueue{
			NumNodes: func() int { return depth }, RetransmitMult: 4,
		}
		for i := 0; i < depth; i++ {
			queue.QueueBroadcast(&claim{fmt.Sprintf("member-%06d", i), make([]byte, 135)})
		}
		least := int64(1 << 62)
		for run := 0; run < 7; run++ {
			const packets = 200
			start := time.Now()
			for i := 0; i < packets; i++ {
				if len(queue.GetBroadcasts(2, 1400)) == 0 && depth > 10 {
					panic("the queue ran dry")
				}
			}
			least = min(least, time.Since(start).Nanoseconds()/packets)
		}
		best[fmt.Sprint(depth)] = least
	}
	return best
}

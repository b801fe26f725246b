package main

import (
	"encoding/hex"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// delegate reports everything the library tells its embedder and supplies metadata, user state,
// broadcasts and the ack payload.
type delegate struct {
	out   *output
	queue *memberlist.TransmitLimitedQueue
	ack   []byte

	mutex sync.Mutex
	meta  []byte
	state []byte
}

func describe(node *memberlist.Node) object {
	return object{
		"name":     node.Name,
		"address":  node.Addr.String(),
		"port":     node.Port,
		"meta":     hex.EncodeToString(node.Meta),
		"versions": []int{int(node.PMin), int(node.PMax), int(node.PCur), int(node.DMin), int(node.DMax), int(node.DCur)},
	}
}

func (d *delegate) setMeta(meta []byte) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.meta = meta
}

func (d *delegate) setState(state []byte) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.state = state
}

func (d *delegate) NodeMeta(limit int) []byte {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.meta
}

func (d *delegate) LocalState(join bool) []byte {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.state
}

func (d *delegate) NotifyMsg(payload []byte) {
	d.out.write(object{"event": "message", "payload": hex.EncodeToString(payload)})
}

func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.queue.GetBroadcasts(overhead, limit)
}

func (d *delegate) MergeRemoteState(state []byte, join bool) {
	d.out.write(object{"event": "state", "payload": hex.EncodeToString(state), "join": join})
}

func (d *delegate) report(event string, node *memberlist.Node) {
	line := describe(node)
	line["event"] = event
	d.out.write(line)
}

func (d *delegate) NotifyJoin(node *memberlist.Node)   { d.report("joined", node) }
func (d *delegate) NotifyUpdate(node *memberlist.Node) { d.report("updated", node) }

// NotifyLeave is the library's one event for two fates, left and failed. It does not say which: the
// node's State is filled in nowhere but in NotifyMerge.
func (d *delegate) NotifyLeave(node *memberlist.Node) { d.report("gone", node) }

// NotifyMerge reports the other side's whole table, on a push/pull of a join: the only sight the
// library gives of the states suspect, dead and left.
func (d *delegate) NotifyMerge(nodes []*memberlist.Node) error {
	statuses := map[memberlist.NodeStateType]string{
		memberlist.StateAlive:   "alive",
		memberlist.StateSuspect: "suspect",
		memberlist.StateDead:    "failed",
		memberlist.StateLeft:    "left",
	}
	rows := []object{}
	for _, node := range nodes {
		row := describe(node)
		row["status"] = statuses[node.State]
		rows = append(rows, row)
	}
	d.out.write(object{"event": "table", "rows": rows})
	return nil
}

func (d *delegate) NotifyConflict(existing, other *memberlist.Node) {
	d.out.write(object{"event": "conflict", "name": existing.Name, "existing": describe(existing), "other": describe(other)})
}

func (d *delegate) AckPayload() []byte { return d.ack }

func (d *delegate) NotifyPingComplete(other *memberlist.Node, roundTrip time.Duration, payload []byte) {
	d.out.write(object{
		"event": "pinged", "name": other.Name, "rtt": roundTrip.Seconds(), "payload": hex.EncodeToString(payload),
	})
}

// broadcast is a user message that no later one replaces.
type broadcast []byte

func (b broadcast) Invalidates(memberlist.Broadcast) bool { return false }
func (b broadcast) Message() []byte                       { return b }
func (b broadcast) Finished()                             {}

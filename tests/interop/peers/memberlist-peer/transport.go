package main

import (
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// deafTransport is the library's own transport with a switch that loses every UDP packet, in and out,
// while TCP stays open: the network that makes fallback pings necessary.
type deafTransport struct {
	*memberlist.NetTransport
	deaf    atomic.Bool
	packets chan *memberlist.Packet
}

var _ memberlist.NodeAwareTransport = (*deafTransport)(nil)

func newDeafTransport(config *memberlist.NetTransportConfig) (*deafTransport, error) {
	inner, err := memberlist.NewNetTransport(config)
	if err != nil {
		return nil, err
	}
	t := &deafTransport{NetTransport: inner, packets: make(chan *memberlist.Packet)}
	go t.forward()
	return t, nil
}

func (t *deafTransport) forward() {
	for packet := range t.NetTransport.PacketCh() {
		if !t.deaf.Load() {
			t.packets <- packet
		}
	}
}

func (t *deafTransport) PacketCh() <-chan *memberlist.Packet { return t.packets }

func (t *deafTransport) WriteTo(data []byte, address string) (time.Time, error) {
	if t.deaf.Load() {
		return time.Now(), nil
	}
	return t.NetTransport.WriteTo(data, address)
}

func (t *deafTransport) WriteToAddress(data []byte, address memberlist.Address) (time.Time, error) {
	if t.deaf.Load() {
		return time.Now(), nil
	}
	return t.NetTransport.WriteToAddress(data, address)
}

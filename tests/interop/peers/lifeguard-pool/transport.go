package main

import (
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// gate holds back whoever passes while it is shut.
type gate struct {
	mutex sync.Mutex
	open  *sync.Cond
	shut  bool
}

func newGate() *gate {
	g := &gate{}
	g.open = sync.NewCond(&g.mutex)
	return g
}

func (g *gate) pass() {
	g.mutex.Lock()
	for g.shut {
		g.open.Wait()
	}
	g.mutex.Unlock()
}

func (g *gate) set(shut bool) {
	g.mutex.Lock()
	g.shut = shut
	g.mutex.Unlock()
	g.open.Broadcast()
}

// blockable is memberlist's own transport, which stands still before it sends and after it has
// received while its gate is shut: the anomaly of Lifeguard's experiments.
type blockable struct {
	*memberlist.NetTransport
	gate    *gate
	packets chan *memberlist.Packet
	streams chan net.Conn
}

func newBlockable(inner *memberlist.NetTransport, gate *gate) *blockable {
	t := &blockable{inner, gate, make(chan *memberlist.Packet), make(chan net.Conn)}
	go func() {
		for packet := range inner.PacketCh() {
			gate.pass()
			t.packets <- packet
		}
	}()
	go func() {
		for conn := range inner.StreamCh() {
			gate.pass()
			t.streams <- &blockableConn{conn, gate}
		}
	}()
	return t
}

func (t *blockable) PacketCh() <-chan *memberlist.Packet { return t.packets }

func (t *blockable) StreamCh() <-chan net.Conn { return t.streams }

func (t *blockable) WriteTo(b []byte, addr string) (time.Time, error) {
	t.gate.pass()
	return t.NetTransport.WriteTo(b, addr)
}

func (t *blockable) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	t.gate.pass()
	return t.NetTransport.WriteToAddress(b, addr)
}

func (t *blockable) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	t.gate.pass()
	conn, err := t.NetTransport.DialTimeout(addr, timeout)
	return t.wrap(conn, err)
}

func (t *blockable) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	t.gate.pass()
	conn, err := t.NetTransport.DialAddressTimeout(addr, timeout)
	return t.wrap(conn, err)
}

func (t *blockable) wrap(conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return &blockableConn{conn, t.gate}, nil
}

type blockableConn struct {
	net.Conn
	gate *gate
}

func (c *blockableConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.gate.pass()
	return n, err
}

func (c *blockableConn) Write(b []byte) (int, error) {
	c.gate.pass()
	return c.Conn.Write(b)
}

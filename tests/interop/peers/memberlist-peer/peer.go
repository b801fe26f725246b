package main

import (
	"encoding/hex"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// peer is one running node with everything a command may act upon.
type peer struct {
	list      *memberlist.Memberlist
	keyring   *memberlist.Keyring
	transport *deafTransport
	delegate  *delegate
	queue     *memberlist.TransmitLimitedQueue
	created   atomic.Bool // the library asks its delegate for broadcasts before Create has returned
}

// command is one line of input after the first; which fields matter depends on Do.
type command struct {
	ID       int64    `json:"id"`
	Do       string   `json:"do"`
	Seeds    []string `json:"seeds"`
	Timeout  seconds  `json:"timeout"`
	Name     string   `json:"name"`
	Payload  hexBytes `json:"payload"`
	Reliable bool     `json:"reliable"`
	Action   string   `json:"action"`
	On       bool     `json:"on"`
}

func start(settings *settings, out *output) (*peer, error) {
	config, err := settings.config()
	if err != nil {
		return nil, err
	}
	keyring, err := settings.keyring()
	if err != nil {
		return nil, err
	}
	logger := log.New(&logWatch{out: out, to: os.Stderr}, "", log.Lmicroseconds)
	transport, err := newDeafTransport(&memberlist.NetTransportConfig{
		BindAddrs: []string{config.BindAddr},
		BindPort:  config.BindPort,
		Logger:    logger,
	})
	if err != nil {
		return nil, err
	}
	config.BindPort = transport.GetAutoBindPort()
	config.AdvertisePort = config.BindPort
	p := &peer{
		keyring:   keyring,
		transport: transport,
		delegate:  &delegate{out: out, meta: settings.Meta, state: settings.State, ack: settings.AckPayload},
	}
	p.queue = &memberlist.TransmitLimitedQueue{NumNodes: p.size, RetransmitMult: config.RetransmitMult}
	p.delegate.queue = p.queue
	config.Keyring = keyring
	config.Logger = logger
	config.Transport = transport
	config.Delegate = p.delegate
	config.Events = p.delegate
	config.Conflict = p.delegate
	config.Merge = p.delegate
	config.Ping = p.delegate
	if p.list, err = memberlist.Create(config); err != nil {
		return nil, err
	}
	p.created.Store(true)
	return p, nil
}

// size is the queue's idea of the pool.
func (p *peer) size() int {
	if !p.created.Load() {
		return 1
	}
	return p.list.NumMembers()
}

func (p *peer) execute(c *command) (any, error) {
	switch c.Do {
	case "join":
		return p.list.Join(c.Seeds)
	case "leave":
		return nil, p.list.Leave(time.Duration(c.Timeout))
	case "update_meta":
		p.delegate.setMeta(c.Payload)
		return nil, p.list.UpdateNode(time.Duration(c.Timeout))
	case "set_state":
		p.delegate.setState(c.Payload)
		return nil, nil
	case "send":
		return nil, p.send(c)
	case "broadcast":
		p.queue.QueueBroadcast(broadcast(c.Payload))
		return nil, nil
	case "ping":
		return p.ping(c.Name)
	case "members":
		return p.members(), nil
	case "health_score":
		return p.list.GetHealthScore(), nil
	case "keyring":
		return p.changeKeyring(c.Action, c.Payload)
	case "drop_udp":
		p.transport.deaf.Store(c.On)
		return nil, nil
	}
	return nil, fmt.Errorf("no command is called %q", c.Do)
}

func (p *peer) find(name string) (*memberlist.Node, error) {
	for _, node := range p.list.Members() {
		if node.Name == name {
			return node, nil
		}
	}
	return nil, fmt.Errorf("no member is called %q", name)
}

func (p *peer) send(c *command) error {
	node, err := p.find(c.Name)
	if err != nil {
		return err
	}
	if c.Reliable {
		return p.list.SendReliable(node, c.Payload)
	}
	return p.list.SendBestEffort(node, c.Payload)
}

// ping returns the round trip in seconds.
func (p *peer) ping(name string) (any, error) {
	node, err := p.find(name)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(node.Addr.String(), strconv.Itoa(int(node.Port)))
	udp, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	roundTrip, err := p.list.Ping(name, udp)
	return roundTrip.Seconds(), err
}

func (p *peer) members() []object {
	rows := []object{}
	for _, node := range p.list.Members() {
		rows = append(rows, describe(node))
	}
	return rows
}

func (p *peer) changeKeyring(action string, key []byte) (any, error) {
	if p.keyring == nil {
		return nil, fmt.Errorf("this node has no keyring")
	}
	var err error
	switch action {
	case "list":
	case "add":
		err = p.keyring.AddKey(key)
	case "use":
		err = p.keyring.UseKey(key)
	case "remove":
		err = p.keyring.RemoveKey(key)
	default:
		err = fmt.Errorf("a keyring cannot %q", action)
	}
	keys := []string{}
	for _, key := range p.keyring.GetKeys() {
		keys = append(keys, hex.EncodeToString(key))
	}
	return keys, err
}

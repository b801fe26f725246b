package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
)

// hexBytes is a byte string, written as hex in JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	decoded, err := hex.DecodeString(text)
	*h = decoded
	return err
}

// seconds is a duration, written as a number of seconds in JSON.
type seconds time.Duration

func (s *seconds) UnmarshalJSON(data []byte) error {
	var number float64
	err := json.Unmarshal(data, &number)
	*s = seconds(number * float64(time.Second))
	return err
}

// settings is the first line of input. An absent field of the second block keeps the profile's value.
type settings struct {
	Name       string     `json:"name"`
	Bind       string     `json:"bind"`
	Port       int        `json:"port"` // 0: the system picks one, reported in the "started" event
	Profile    string     `json:"profile"`
	Keys       []hexBytes `json:"keys"` // the first is the primary
	Label      string     `json:"label"`
	Meta       hexBytes   `json:"meta"`
	State      hexBytes   `json:"state"`
	AckPayload hexBytes   `json:"ack_payload"`

	ProtocolVersion         *uint8   `json:"protocol_version"`
	DelegateProtocolMin     *uint8   `json:"delegate_protocol_min"`
	DelegateProtocolMax     *uint8   `json:"delegate_protocol_max"`
	DelegateProtocolVersion *uint8   `json:"delegate_protocol_version"`
	TCPTimeout              *seconds `json:"tcp_timeout"`
	IndirectChecks          *int     `json:"indirect_checks"`
	RetransmitMult          *int     `json:"retransmit_mult"`
	SuspicionMult           *int     `json:"suspicion_mult"`
	SuspicionMaxTimeoutMult *int     `json:"suspicion_max_timeout_mult"`
	PushPullInterval        *seconds `json:"push_pull_interval"`
	ProbeTimeout            *seconds `json:"probe_timeout"`
	ProbeInterval           *seconds `json:"probe_interval"`
	DisableTCPPings         *bool    `json:"disable_tcp_pings"`
	AwarenessMaxMultiplier  *int     `json:"awareness_max_multiplier"`
	GossipNodes             *int     `json:"gossip_nodes"`
	GossipInterval          *seconds `json:"gossip_interval"`
	GossipToTheDeadTime     *seconds `json:"gossip_to_the_dead_time"`
	GossipVerifyIncoming    *bool    `json:"gossip_verify_incoming"`
	GossipVerifyOutgoing    *bool    `json:"gossip_verify_outgoing"`
	EnableCompression       *bool    `json:"enable_compression"`
	UDPBufferSize           *int     `json:"udp_buffer_size"`
	DeadNodeReclaimTime     *seconds `json:"dead_node_reclaim_time"`
}

func parseSettings(line []byte) (*settings, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	parsed := new(settings)
	return parsed, decoder.Decode(parsed)
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func setDuration(field *time.Duration, value *seconds) {
	if value != nil {
		*field = time.Duration(*value)
	}
}

// config turns the settings into the library's; delegates and transport are the caller's.
func (s *settings) config() (*memberlist.Config, error) {
	profiles := map[string]func() *memberlist.Config{
		"lan":   memberlist.DefaultLANConfig,
		"wan":   memberlist.DefaultWANConfig,
		"local": memberlist.DefaultLocalConfig,
	}
	profile, known := profiles[s.Profile]
	if !known {
		return nil, fmt.Errorf("profile %q is none of lan, wan, local", s.Profile)
	}
	config := profile()
	config.Name = s.Name
	config.Label = s.Label
	config.BindAddr = s.Bind
	config.BindPort = s.Port
	config.AdvertisePort = s.Port
	set(&config.ProtocolVersion, s.ProtocolVersion)
	set(&config.DelegateProtocolMin, s.DelegateProtocolMin)
	set(&config.DelegateProtocolMax, s.DelegateProtocolMax)
	set(&config.DelegateProtocolVersion, s.DelegateProtocolVersion)
	setDuration(&config.TCPTimeout, s.TCPTimeout)
	set(&config.IndirectChecks, s.IndirectChecks)
	set(&config.RetransmitMult, s.RetransmitMult)
	set(&config.SuspicionMult, s.SuspicionMult)
	set(&config.SuspicionMaxTimeoutMult, s.SuspicionMaxTimeoutMult)
	setDuration(&config.PushPullInterval, s.PushPullInterval)
	setDuration(&config.ProbeTimeout, s.ProbeTimeout)
	setDuration(&config.ProbeInterval, s.ProbeInterval)
	set(&config.DisableTcpPings, s.DisableTCPPings)
	set(&config.AwarenessMaxMultiplier, s.AwarenessMaxMultiplier)
	set(&config.GossipNodes, s.GossipNodes)
	setDuration(&config.GossipInterval, s.GossipInterval)
	setDuration(&config.GossipToTheDeadTime, s.GossipToTheDeadTime)
	set(&config.GossipVerifyIncoming, s.GossipVerifyIncoming)
	set(&config.GossipVerifyOutgoing, s.GossipVerifyOutgoing)
	set(&config.EnableCompression, s.EnableCompression)
	set(&config.UDPBufferSize, s.UDPBufferSize)
	setDuration(&config.DeadNodeReclaimTime, s.DeadNodeReclaimTime)
	return config, nil
}

// keyring is nil without keys: the node then speaks in clear.
func (s *settings) keyring() (*memberlist.Keyring, error) {
	if len(s.Keys) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(s.Keys))
	for i, key := range s.Keys {
		keys[i] = key
	}
	return memberlist.NewKeyring(keys, keys[0])
}

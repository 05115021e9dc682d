package prover

import (
	"encoding/json"

	"google.golang.org/protobuf/proto"

	"souk/protocol/offer"
	"souk/protocol/pb"
)

// Store keeps, over restarts, what was measured. It is a hint: where it can't
// be read or written the node goes on without.
type Store interface {
	Load() ([]byte, error)
	Save(text []byte) error
}

// kept is what a store holds.
type kept struct {
	Measurements [][]byte         `json:"measurements"` // messages, signed each
	Speeds       map[string]speed `json:"speeds"`       // by slug
}

// recall takes up what a former process measured. What isn't right is left
// out: measurements are signed, and each one is checked again.
func (p *Prover) recall() {
	if p.Store == nil {
		return
	}
	text, err := p.Store.Load()
	var k kept
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		p.Log.Warn("what was measured before is lost; devices are measured anew", "err", err)
		return
	}
	for _, raw := range k.Measurements {
		if m, ok := p.reread(raw); ok {
			both := p.book[m.Slug]
			if m.Own() {
				both[0] = &m
			} else {
				both[1] = &m
			}
			p.book[m.Slug] = both
		}
	}
	for slug, s := range k.Speeds {
		if s.Ops > 0 && s.Blocks >= 0 {
			p.speeds[slug] = s
		}
	}
}

func (p *Prover) reread(raw []byte) (offer.Measurement, bool) {
	var q pb.Measurement
	if proto.Unmarshal(raw, &q) != nil {
		return offer.Measurement{}, false
	}
	m, err := offer.ReadMeasurement(&q)
	return m, err == nil && m.Provider == p.self && m.Verify(p.Network, p.Now()) == nil
}

// keep writes down what is known now.
func (p *Prover) keep() {
	if p.Store == nil {
		return
	}
	p.keeping.Lock()
	defer p.keeping.Unlock()
	text, err := p.known()
	if err == nil {
		err = p.Store.Save(text)
	}
	if err != nil {
		p.Log.Warn("what was measured isn't kept for after a restart", "err", err)
	}
}

func (p *Prover) known() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := kept{Speeds: p.speeds}
	for _, both := range p.book {
		for _, m := range both {
			if m == nil {
				continue
			}
			raw, err := proto.Marshal(m.Proto())
			if err != nil {
				return nil, err
			}
			k.Measurements = append(k.Measurements, raw)
		}
	}
	return json.Marshal(k)
}

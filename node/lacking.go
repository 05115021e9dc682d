package node

import "souk/protocol/market"

// lacking says what can't run jobs or isn't offered now, and why.
func (s *supply) lacking() (sentences []string) {
	for _, e := range s.executors {
		if err := s.provider.Trouble(e.Kind()); err != nil {
			sentences = append(sentences, e.Kind()+": "+cut(err))
		}
	}
	if s.noImages != nil {
		sentences = append(sentences, market.KindDocker+": "+cut(s.noImages))
	}
	return append(sentences, s.stock.lacking()...)
}

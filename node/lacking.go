package node

import "souk/protocol/market"

// lacking says what can't run jobs now, and why.
func (s *supply) lacking() (sentences []string) {
	for _, e := range s.executors {
		if err := s.provider.Trouble(e.Kind()); err != nil {
			sentences = append(sentences, e.Kind()+": "+cut(err))
		}
	}
	if s.noImages != nil {
		sentences = append(sentences, market.KindDocker+": "+cut(s.noImages))
	}
	return sentences
}

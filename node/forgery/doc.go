// Package forgery has no code of its own. Its tests forge documents from a
// seed: replayed, malleated, cut and padded ones, signed by or for somebody
// else, for another network, chain, channel or lease, with figures that nobody
// may sign. They hand each to what a node reads it with, and see that none is
// accepted, that each is refused for the right reason, and that the document
// it was made of is accepted.
package forgery

// Package cache makes the bounded maps in which a node remembers others.
package cache

import lru "github.com/hashicorp/golang-lru/v2"

// New gives an empty map of at most size entries, above 0; the one that was not
// used for longest makes room.
func New[K comparable, V any](size int) *lru.Cache[K, V] {
	c, err := lru.New[K, V](size)
	if err != nil {
		panic(err) // only a size of zero or less is refused
	}
	return c
}

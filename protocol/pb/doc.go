// Package pb holds the messages of souk's stream protocols, generated from
// souk.proto by scripts/generate. It holds no logic: sizes and deadlines are
// protocol/wire's, meaning and validation are protocol/market's.
package pb

// Package fastkey has libp2p compute with its secp256k1 keys by libsecp256k1.
//
// libp2p's own keys compute in Go. Their first use unpacks a table, which takes
// 15 ms and keeps a megabyte, in each process that starts. Keys and signatures
// are the same, byte for byte, and so is what is refused. Where there is no C
// everything stays as it is.
package fastkey

package modmath

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Sizes of a memory job.
const (
	BlockWords = 8192           // 64-bit words in a block
	BlockBytes = BlockWords * 8 // 64 KiB
	SumLanes   = 128            // lanes of a block's sum
	MaxBlocks  = 1 << 31        // 128 TiB
	MaxSteps   = 1 << 20        // of a chase
)

// Block is one block's words.
type Block [BlockWords]uint64

// Memory is the job of filling Blocks blocks of memory from Seed.
type Memory struct {
	Seed   Seed
	Blocks uint64 // 1 to MaxBlocks
}

// Check says what is wrong with the job's size.
func (m Memory) Check() error {
	if m.Blocks < 1 || m.Blocks > MaxBlocks {
		return fmt.Errorf("%d blocks of memory can't be asked for; it is 1 to %d blocks of 64 KiB", m.Blocks, uint64(MaxBlocks))
	}
	return nil
}

// Bytes is how much memory the blocks take.
func (m Memory) Bytes() uint64 { return m.Blocks * BlockBytes }

// Words are what a kernel needs to fill blocks: s0 to s3.
func (m Memory) Words() [4]uint64 {
	digest := sha256.Sum256(append([]byte("souk memory 1"), m.Seed[:]...))
	var s [4]uint64
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(digest[8*i:])
	}
	return s
}

// Fill computes block index: 8,191 steps, each of which needs the one before.
func (m Memory) Fill(block *Block, index uint64) { fill(block, m.Words(), index) }

func fill(block *Block, s [4]uint64, index uint64) {
	x := mix(mix(mix(mix(index+s[0])^s[1])^s[2]) ^ s[3])
	block[0] = x
	for j := uint64(1); j < BlockWords; j++ {
		far, near := (x>>32)*j>>32, (x&0xffffffff)*j>>32
		x = mix(x + block[far]*golden + block[near] + j)
		block[j] = x
	}
}

// Sum is the block's sum under a nonce.
func (b *Block) Sum(nonce uint64) uint64 {
	by := mix(nonce^golden) | 1
	sum := uint64(0)
	for t := range uint64(SumLanes) {
		a := mix(nonce + t*golden)
		for at := t; at < BlockWords; at += SumLanes {
			a = (a ^ b[at]) * by
			a ^= a >> 32
		}
		sum += mix(a + t)
	}
	return sum
}

// Step says which word the step k of a chase reads, where previous is the
// word that the step before read, or the start for k = 0.
func (m Memory) Step(nonce, k, previous uint64) (block, word uint64) {
	h := mix(mix(nonce+k*golden) ^ previous)
	return (h >> 32) * m.Blocks >> 32, h & (BlockWords - 1)
}

package main

import (
	"context"
	"os"

	"souk/protocol/market"
	"souk/protocol/market/markettest"
	"souk/protocol/receiptfile"
)

type documentVector struct {
	Name  string      `json:"name"`
	Block string      `json:"block"` // canonical DAG-JSON, UTF-8
	Hash  market.Hash `json:"hash"`  // sha2-256, as the signed documents name it
	CID   string      `json:"cid"`
}

type encoder interface{ Encode() ([]byte, error) }

// documents are those that are hashed as DAG-JSON.
func documents(context.Context) (any, error) {
	limit, zero, module := market.NewAmount(500_000), 0, markettest.Module()
	var all []documentVector
	for _, d := range []struct {
		name string
		doc  encoder
	}{
		{"request", market.Request{
			Network: netName, Executor: "docker", CPU: 2, Memory: 8 << 30, Disk: 1 << 30, GPU: &market.GPUNeed{Name: "RTX4090", Count: 2, VRAM: 24 << 30},
			MaxMillis: 600_000, InputBytes: 1 << 20, PriceLimit: &limit, Region: "eu", Egress: []string{"pypi.org:443"},
		}},
		{"terms", market.Terms{
			Network: netName, Devices: []market.Device{{Model: "NVIDIA GeForce RTX 4090", Slug: "rtx-4090", VRAM: 24 << 30, Count: 2, Evidence: market.Claimed}},
			CPU: 2, Memory: 8 << 30, Disk: 1 << 30, Egress: []string{"pypi.org:443"}, Executor: "docker", Unit: "ms", PrepayTicks: 1,
			KeepUntil: 1_767_312_000_000, MaxOutput: 1 << 30, MaxLog: 64 << 20, PricePerHour: market.NewAmount(400_320),
		}},
		{"a WASM job", market.Job{
			Name: "digits", WASM: module, Args: []string{"--epochs", "5", "ü\"\\\n"}, Env: map[string]string{"SEED": "1", "A": "", "Z": "z"},
			Inputs: []market.Input{{At: "/in/digits.bin", CID: module}}, Outputs: "/out",
		}},
		{"a container job", market.Job{
			Image: &market.Image{Ref: "docker.io/library/debian@sha256:" + market.Hash{1}.Hex()}, Args: []string{"nvidia-smi"}, Outputs: "/out",
		}},
		{"an empty body", market.Body{}},
		{"a body", market.Body{Cause: "exited", ExitCode: &zero, Outputs: &module, LogBytes: 1234, CPUMillis: 987, PeakMemory: 65 << 20, Simulated: true}},
	} {
		block, err := d.doc.Encode()
		if err != nil {
			return nil, err
		}
		h := market.BlockHash(block)
		all = append(all, documentVector{d.name, string(block), h, h.JSONCID().String()})
	}
	return all, nil
}

// writeLease writes a whole lease, from request to the last countersignature.
func writeLease(path string) error {
	f, err := os.Create(path) //nolint:gosec // named by the caller
	if err != nil {
		return err
	}
	b := markettest.Bundle(markettest.Plan{Network: netName, Countersigned: 3})
	if _, err := b.Verify(); err != nil {
		_ = f.Close()
		return err
	}
	if err := receiptfile.Write(f, b); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

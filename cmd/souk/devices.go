package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"souk/internal/quantity"
	"souk/node/config"
	"souk/node/control"
	"souk/node/device"
	"souk/node/device/sources"
	"souk/node/executor/docker"
	"souk/protocol/market"
)

// deviceRow is a device, for --json.
type deviceRow struct {
	Number     int               `json:"number"`
	ID         string            `json:"id"`
	Model      string            `json:"model"`
	Slug       string            `json:"slug"`
	VRAM       int64             `json:"vram"` // bytes
	Kind       device.Kind       `json:"kind"`
	Vendor     string            `json:"vendor,omitempty"`
	Driver     string            `json:"driver,omitempty"`
	Bus        string            `json:"bus,omitempty"`
	Source     string            `json:"source"`
	Compute    string            `json:"compute,omitempty"`
	CUDA       string            `json:"cuda,omitempty"`
	PCIeGen    int               `json:"pcieGen,omitempty"`
	PCIeWidth  int               `json:"pcieWidth,omitempty"`
	PowerLimit int               `json:"powerLimit,omitempty"` // watts
	ECC        string            `json:"ecc,omitempty"`
	Parent     string            `json:"parent,omitempty"`
	Profile    string            `json:"profile,omitempty"`
	Peers      []string          `json:"peers,omitempty"`
	Use        device.Use        `json:"use"`
	Offered    bool              `json:"offered"`
	Obstacles  []device.Obstacle `json:"obstacles,omitempty"`
}

func (a *app) devicesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "Show this machine's GPUs, how they are used, and why one is not offered",
		Long: "Looks at this machine's GPUs. It needs no node; one that this data directory's node offers counts as offered.\n" +
			"--json tells more: CUDA, PCIe, power limit, ECC, MIG and NVLink. The keys under `devices` in the config say what is kept back.",
		Args: usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			all, err := sources.All(cfg.Provider.SimulateGPU...)
			if err != nil {
				return err
			}
			v := device.NewInventory(device.Options{Policy: policyOf(cfg.Devices), Passable: passable(cfg.Provider.Executors)}, all...)
			defer func() { _ = v.Close() }()
			findings, failed := v.Look(ctx)
			if failed != nil {
				fmt.Fprintln(a.err, "warning:", failed)
			}
			if err := a.showDevices(findings, a.ownNode(ctx, cfg.DataDir)); err != nil {
				return err
			}
			if why := v.Misnamed(); why != "" {
				fmt.Fprintln(a.err, "warning:", why)
			}
			if len(findings) == 0 {
				fmt.Fprintln(a.err, "no GPU was found; this is what was looked for:")
				for _, line := range v.Explain() {
					fmt.Fprintln(a.err, " ", line)
				}
			}
			return nil
		}),
	}
	cmd.Flags().StringArray("simulate-gpu", nil, "a GPU to pretend to have, such as \"RTX 4090:2\" (repeatable)")
	annotate(cmd.Flags(), "simulate-gpu", configFlag, "provider.simulate_gpu")
	return cmd
}

// passable says why no executor could pass a vendor's devices to a job.
func passable(executors []string) func(context.Context, string) error {
	if slices.Equal(executors, []string{market.KindWASM}) {
		return func(context.Context, string) error {
			return errors.New("provider.executors leaves docker out, and a WASM job can't use a GPU")
		}
	}
	return docker.Passable
}

func policyOf(d config.Devices) device.Policy {
	return device.Policy{Reserve: d.Reserve, Display: d.Display, BusyMemory: d.BusyMemory}
}

// ownNode is the process of the node that runs on the data directory, 0 if none does.
func (a *app) ownNode(ctx context.Context, dir string) int {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	status, err := control.NewClient(dir).Status(ctx)
	if err != nil {
		return 0
	}
	return status.PID
}

func (a *app) showDevices(findings []device.Finding, own int) error {
	rows := make([]deviceRow, 0, len(findings))
	for _, f := range findings {
		rows = append(rows, rowOf(f, own))
	}
	return list(a, rows, func() {
		if len(findings) == 0 {
			return
		}
		var table [][]string
		for i, f := range findings {
			d := f.Device
			table = append(table, []string{
				fmt.Sprint(f.Number), d.Model, d.Slug, memoryText(d.VRAM), orDash(d.Driver), useText(f.Use), orDash(d.ID), offeredText(rows[i]),
			})
		}
		writeTable(a.out, []string{"#", "MODEL", "SLUG", "VRAM", "DRIVER", "USE", "ID", "OFFERED"}, table)
	})
}

func rowOf(f device.Finding, own int) deviceRow {
	d, more := f.Device, f.Device.Detail
	row := deviceRow{
		Number: f.Number, ID: d.ID, Model: d.Model, Slug: d.Slug, VRAM: d.VRAM, Kind: d.Kind, Vendor: d.Vendor, Driver: d.Driver, Bus: d.Bus, Source: d.Source,
		Compute: more.Compute, CUDA: more.CUDA, PCIeGen: more.PCIeGen, PCIeWidth: more.PCIeWidth, PowerLimit: more.PowerLimit, ECC: more.ECC,
		Parent: more.Parent, Profile: more.Profile, Peers: more.Peers, Use: f.Use, Offered: f.Offered(), Obstacles: f.Obstacles,
	}
	if own != 0 && f.Holder == own { // this very node offers it
		row.Offered, row.Obstacles = true, nil
	}
	return row
}

func offeredText(r deviceRow) string {
	if r.Offered {
		return "yes"
	}
	var texts []string
	for _, o := range r.Obstacles {
		texts = append(texts, o.Text)
	}
	return "no: " + strings.Join(texts, "; ")
}

func memoryText(n int64) string {
	if n == 0 {
		return "–"
	}
	return quantity.Human(n)
}

// useText is how a device is used, as far as its driver tells.
func useText(u device.Use) string {
	if u.Utilisation == 0 && u.Memory == 0 && u.Celsius == 0 && u.Watts == 0 {
		return "–" // nobody tells
	}
	parts := []string{fmt.Sprintf("%d%%", u.Utilisation), quantity.Human(u.Memory)}
	if u.Celsius > 0 {
		parts = append(parts, fmt.Sprintf("%d°C", u.Celsius))
	}
	if u.Watts > 0 {
		parts = append(parts, fmt.Sprintf("%dW", u.Watts))
	}
	return strings.Join(parts, " ")
}

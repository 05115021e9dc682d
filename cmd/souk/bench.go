package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"souk/internal/modmath"
	"souk/internal/quantity"
	"souk/node/device"
	"souk/node/device/cuda"
	"souk/node/device/kernel"
	"souk/node/device/nvml"
	"souk/node/device/opencl"
	"souk/node/device/sysfs"
	"souk/protocol/wire"
)

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what this machine can do",
		Args:  usageArgs(cobra.ArbitraryArgs),
		RunE:  group,
	}
	cmd.AddCommand(a.benchDeviceCommand(), a.benchChallengeCommand())
	return cmd
}

// benchRow is a device and what it did, or why it did nothing.
type benchRow struct {
	ID    string `json:"id"`
	Model string `json:"model"`
	VRAM  int64  `json:"vram"`
	*kernel.Measurement
	Note string `json:"note,omitempty"`
}

func (a *app) benchDeviceCommand() *cobra.Command {
	var (
		n         int
		memory    string
		openclCPU bool
	)
	cmd := &cobra.Command{
		Use:   "device",
		Short: "Measure each GPU here: products modulo a prime, and reading its memory",
		Long: "Runs on each device what a challenge asks for: products of matrices of 32-bit integers modulo 2^31-1, then fills memory, " +
			"reads it once, and walks through it at random. The answers are checked, so a device that computes wrongly is told.\n" +
			"A device that a node here offers is left alone. CUDA is used where it is, else OpenCL.",
		Args: usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, _ *cobra.Command, _ []string) error {
			bytes, err := quantity.Parse(memory)
			if err != nil {
				return &usageError{fmt.Errorf("--memory: %w", err)}
			}
			if err := (modmath.Product{N: n, Rounds: 1}).Check(); err != nil {
				return &usageError{fmt.Errorf("--n: %w", err)}
			}
			inventory := device.NewInventory(device.Options{Hold: true}, nvml.New(), sysfs.Here(), opencl.Source{CPU: openclCPU})
			defer inventory.Close()
			found, err := inventory.Look(ctx)
			if err != nil {
				fmt.Fprintln(a.err, "warning:", err)
			}
			rows := benchDevices(ctx, found, n, uint64(bytes), cuda.Source{}, opencl.Source{CPU: openclCPU}) //nolint:gosec // not negative
			return a.showBench(ctx, rows)
		}),
	}
	cmd.Flags().IntVar(&n, "n", 2048, "order of the matrices")
	cmd.Flags().StringVar(&memory, "memory", "1GiB", "how much of each device's memory to fill, at most half of it; 0 leaves that out")
	cmd.Flags().BoolVar(&openclCPU, "opencl-cpu", false, "also measure CPUs that OpenCL lists as devices")
	return cmd
}

// benchDevices measures one device after the other.
func benchDevices(ctx context.Context, found []device.Finding, n int, bytes uint64, drivers ...kernel.Driver) []benchRow {
	rows := make([]benchRow, 0, len(found))
	for _, f := range found {
		row := benchRow{ID: f.Device.ID, Model: f.Device.Model, VRAM: f.Device.VRAM}
		notes := make([]string, 0, len(f.Obstacles)+1)
		alone := false // it is left alone
		for _, o := range f.Obstacles {
			alone = alone || o.Code == device.Taken || o.Code == device.Lost
			notes = append(notes, o.Text)
		}
		if !alone {
			m, err := benchDevice(ctx, f.Device, n, bytes, drivers)
			if err != nil {
				notes = append(notes, err.Error())
			}
			row.Measurement = m
		}
		row.Note = strings.Join(notes, "; ")
		rows = append(rows, row)
	}
	return rows
}

// benchDevice gives what could be measured, beside an error too.
func benchDevice(ctx context.Context, d device.Device, n int, bytes uint64, drivers []kernel.Driver) (*kernel.Measurement, error) {
	k, err := kernel.Open(ctx, d, drivers...)
	var missing *kernel.NotFoundError
	if errors.As(err, &missing) {
		return nil, errors.New("neither CUDA nor OpenCL computes on it; " + wouldCompute(d.Vendor))
	}
	if err != nil {
		return nil, err
	}
	if half := uint64(d.VRAM) / 2; d.VRAM > 0 && bytes > half { //nolint:gosec // above 0
		bytes = half
	}
	m, err := kernel.Measure(ctx, k, n, bytes)
	err = errors.Join(err, k.Close())
	if m.Rate == 0 {
		return nil, err
	}
	return &m, err
}

// wouldCompute is what a vendor's devices need for computing.
func wouldCompute(vendor string) string {
	if vendor == "nvidia" {
		return "libcuda.so.1, a part of NVIDIA's driver, would (Debian: libcuda1)"
	}
	return "its maker's driver with OpenCL would"
}

// showBench prints the rows; that nothing could be measured is an error.
func (a *app) showBench(ctx context.Context, rows []benchRow) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(rows) == 0 {
		return fail(wire.NoMatch, errors.New("this machine has no GPU that NVML, sysfs or OpenCL knows; --opencl-cpu measures CPUs that OpenCL lists"))
	}
	err := list(a, rows, func() {
		cells := make([][]string, 0, len(rows))
		for _, r := range rows {
			cells = append(cells, r.cells())
		}
		writeTable(a.out, []string{"DEVICE", "MEASURED WITH", "PRODUCTS", "READING", "RANDOM READ", "TOUCHED", "NOTE"}, cells)
		if measuredAny(rows) {
			fmt.Fprintln(a.err, "Products: 10^9 multiplications with addition modulo 2^31-1 per second. All answers were checked.")
		}
	})
	if !measuredAny(rows) {
		err = errors.Join(err, &exit{exitFault})
	}
	return err
}

func measuredAny(rows []benchRow) bool {
	return slices.ContainsFunc(rows, func(r benchRow) bool { return r.Measurement != nil })
}

func (r benchRow) cells() []string {
	if r.Measurement == nil {
		return []string{r.ID, "–", "–", "–", "–", "–", r.Note}
	}
	m := r.Measurement
	products := fmt.Sprintf("%.4g G/s (%d of order %d)", m.Rate/1e9, m.Rounds, m.N)
	if m.Bytes == 0 {
		return []string{r.ID, m.By, products, "–", "–", "–", r.Note}
	}
	return []string{
		r.ID, m.By, products, fmt.Sprintf("%.4g GB/s", m.Read/1e9), m.Step.Round(time.Nanosecond).String(),
		quantity.Format(int64(m.Bytes)), r.Note, //nolint:gosec // of a device
	}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"souk/node/client"
	"souk/node/control"
	"souk/node/jobfile"
	"souk/protocol/wire"
)

// runOptions are the flags of run that aren't the job's.
type runOptions struct {
	yes, detach, dryRun bool
	outputs             string // where outputs go; empty: ./NAME-ID
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run JOB.yaml",
		Short: "Run a job: find, quote, lease, send inputs, stream logs, fetch outputs",
		Long: "Shows which providers were considered and what the job can cost, asks if there is a terminal, then runs it.\n" +
			"Ends with the job's own exit code; 125 where souk failed, 130 after Ctrl-C, which cancels the job; a second one leaves at once.\n" +
			"Flags go over what the job file says. Everything after -- goes to the job.",
		Example: "souk run job.yaml\nsouk run --max-price 0.50/h --outputs /out -- module.wasm --epochs 5\n" +
			"souk run --max-price 0.50/h --gpu RTX4090 --image ghcr.io/you/train:2 -- --epochs 5",
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd, args, o) },
	}
	nodeFlags(cmd)
	needFlags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.yes, "yes", "y", false, "don't ask")
	f.BoolVarP(&o.detach, "detach", "d", false, "print the job's ID and leave it running")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the whole job file that would be sent, and stop")
	f.StringVarP(&o.outputs, "output-dir", "o", "", "folder to make for the outputs (default ./NAME-ID)")
	f.String("name", "", "the job's name (default: the module's)")
	f.String("total", "", "the most that the job may cost in all, such as 0.10")
	f.String("retries", "", "how often another provider is tried (default 2)")
	f.String("outputs", "", "the job's own folder that comes back, such as /out")
	f.StringArray("input", nil, "a file or folder for the job: SOURCE:/PATH/IN/JOB, or cid=CID:/PATH/IN/JOB (repeatable)")
	f.StringArray("env", nil, "a variable of the job's environment: NAME=VALUE (repeatable)")
	f.String("image", "", "a container image: a name, whose digest is looked up, or an archive of docker save (FILE.tar)")
	f.StringArray("egress", nil, "a public place that an image's job may connect to: HOST:PORT (repeatable)")
	f.Bool("challenge", false, "have the GPUs prove that they are there, before they are leased or under the lease")
	f.Bool("exclusive", false, "take GPUs whole, also of a provider that shares them among its leases")
	f.Bool("real-time", false, "give the job the real clock and randomness")
	for name, field := range map[string]string{
		"name": "name", "total": "limits.total", "retries": "retries", "outputs": "outputs", "input": "inputs", "env": "env", "real-time": "task.realTime",
		"image": "task.image", "egress": "needs.egress", "challenge": "verify.challenge", "exclusive": "needs.exclusive",
	} {
		annotate(f, name, jobFlag, field)
	}
	return cmd
}

// job is what the command line asks to run.
func job(cmd *cobra.Command, args []string) (jobfile.Spec, error) {
	settings := jobSettings(cmd)
	switch dash := cmd.ArgsLenAtDash(); {
	case cmd.Flag("image").Changed && (dash == 0 || len(args) == 0):
		return jobfile.FromFlags("", args, settings)
	case dash < 0 && len(args) == 1:
		return jobfile.Load(args[0], settings...)
	case dash == 0 && len(args) > 0:
		return jobfile.FromFlags(args[0], args[1:], settings)
	}
	return jobfile.Spec{}, usage("name one job file, or a module after --; usage: souk run JOB.yaml, souk run [flags] -- MODULE.wasm ARG..., or souk run --image NAME [flags] -- ARG...")
}

func (a *app) run(cmd *cobra.Command, args []string, o runOptions) error {
	spec, err := job(cmd, args)
	if err != nil {
		return err
	}
	if err := a.pin(cmd, &spec); err != nil {
		return err
	}
	if o.dryRun {
		if a.json {
			return a.line(spec)
		}
		return spec.Write(a.out)
	}
	if o.outputs, err = freshDir(o.outputs); err != nil {
		return err
	}
	n, id, shown, err := a.place(cmd, spec, o)
	if err != nil || o.detach {
		return err
	}
	return a.follow(n, id, shown, outputsTo{dir: o.outputs, name: spec.Name, wanted: spec.Outputs != "", nowhere: outputsFor(cmd, spec)})
}

// outputsFor is what gives a job a folder to write to that has none.
func outputsFor(cmd *cobra.Command, spec jobfile.Spec) string {
	switch {
	case spec.Outputs != "" || spec.Image != nil:
		return ""
	case cmd.ArgsLenAtDash() >= 0:
		return "--outputs /out"
	}
	return "outputs: /out"
}

// freshDir is the absolute path of a folder that must not exist yet.
func freshDir(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(abs); err == nil {
		return "", fail(client.BadInput, fmt.Errorf("%s exists; name a folder for the outputs that doesn't", abs))
	}
	if _, err := os.Stat(filepath.Dir(abs)); err != nil {
		return "", fail(client.BadInput, fmt.Errorf("%s can't be made: its parent folder does not exist", abs))
	}
	return abs, nil
}

// place shows what was considered, asks, and submits; shown is the plan that
// the user has seen. Until then Ctrl-C costs nothing.
func (a *app) place(cmd *cobra.Command, spec jobfile.Spec, o runOptions) (n control.Backend, id, shown string, err error) {
	err = a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		noteGPU(a.err, spec)
		if n, err = a.node(ctx, cmd); err != nil {
			return err
		}
		plan, err := n.Plan(ctx, spec)
		if err != nil {
			return err
		}
		if err := a.showPlan(plan, spec); err != nil {
			return err
		}
		if plan.Code != "" {
			return fail(wire.Code(plan.Code), errors.New(plan.Summary))
		}
		if err := a.confirm(ctx, o); err != nil {
			return err
		}
		id, err = n.Submit(ctx, spec, plan.ID)
		if err != nil {
			return err
		}
		shown = plan.ID
		return a.showPlaced(id, spec.Name, o)
	})(cmd, nil)
	return n, id, shown, err
}

func (a *app) showPlan(plan client.Plan, spec jobfile.Spec) error {
	if a.json {
		return a.line(client.Event{Kind: client.Considered, At: time.Now(), Plan: &plan})
	}
	if plan.Code != "" {
		plan.Summary = "" // it is the error that follows
	}
	writeConsidered(a.err, plan, worstOf(plan, spec))
	return nil
}

// showPlaced names the job. Whoever goes on to follow it is told in JSON by
// the node.
func (a *app) showPlaced(id, name string, o runOptions) error {
	switch {
	case a.json && o.detach:
		return a.line(client.Event{Kind: client.Placed, At: time.Now(), Job: id, Text: name})
	case a.json:
		return nil
	case o.detach:
		_, err := fmt.Fprintln(a.out, id)
		return err
	}
	fmt.Fprintf(a.err, "job %s\n", id)
	return nil
}

// answered ends souk unless the answer is yes. To say no is no error.
func (a *app) answered(said string) error {
	if said == "y" || said == "yes" {
		return nil
	}
	fmt.Fprintln(a.err, "not run; nothing was leased, nothing was paid")
	return &exit{exitDeclined}
}

// confirm asks where there is somebody to ask.
func (a *app) confirm(ctx context.Context, o runOptions) error {
	if o.yes || a.json || !isTerminal(a.in) || !isTerminal(a.err) {
		return nil
	}
	fmt.Fprint(a.err, "run it? [y/N] ")
	answer := make(chan string, 1)
	go func() { // ends with the answer, or with the process
		line, _ := bufio.NewReader(a.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case said := <-answer:
		return a.answered(said)
	case <-ctx.Done():
		fmt.Fprintln(a.err)
		return errInterrupted
	}
}

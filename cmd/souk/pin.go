package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"souk/node/client"
	"souk/node/image"
	"souk/node/jobfile"
)

// pin names the job's image for good, before anything is planned or signed.
func (a *app) pin(cmd *cobra.Command, spec *jobfile.Spec) error {
	if spec.Image == nil || spec.Image.Path != "" {
		return nil
	}
	return a.action(func(ctx context.Context, _ *cobra.Command, _ []string) error {
		r, end := image.Local()
		defer end()
		p, err := r.Pin(ctx, spec.Image.Ref)
		var bad *image.Error
		if errors.As(err, &bad) {
			return fail(client.BadInput, err)
		}
		if err == nil {
			spec.Image = &jobfile.Image{Ref: p.Ref, Platform: p.Platform}
		}
		return err
	})(cmd, nil)
}

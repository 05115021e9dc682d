package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ipfs/go-cid"

	"souk/node/blob"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

const jobIDBytes = 8

// Submit takes a job. When it returns, the job and its inputs are on disk,
// and a crash changes nothing any more. planID names the plan that the user
// saw, or is empty: its quotes are used while they are good, and after that
// the job stays within the worst cost that was shown and the price limit that
// the job names, else the highest price that was shown.
func (e *Engine) Submit(ctx context.Context, s jobfile.Spec, planID string) (jobID string, err error) {
	p := e.plans.take(planID)
	if p != nil {
		s = p.bound(s)
	}
	doc, err := e.importJob(ctx, s)
	if err != nil {
		return "", err
	}
	block, err := doc.Encode()
	if err != nil {
		return "", err
	}
	if _, err := market.DecodeJob(block); err != nil {
		return "", wire.Refuse(BadInput, "%v", err)
	}
	spec, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	j := ledger.Job{
		ID: randomID(jobIDBytes), Name: s.Name, Spec: spec, Job: block, Created: e.nowMillis(), State: ledger.JobPlaced,
		Total: s.Total, Retries: s.Retries,
	}
	if err := e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error { return tx.PutJob(j) }); err != nil {
		return "", err
	}
	return j.ID, e.launch(j.ID, p)
}

// bound keeps a job within what the user saw in a plan.
func (p *planned) bound(s jobfile.Spec) jobfile.Spec {
	if p.plan.Code != "" {
		return s // nobody to lease was shown, and so no price
	}
	if s.Price == nil {
		limit := p.priceLimit()
		s.Price = &limit
	}
	s.Total = market.MinAmount(s.Total, p.plan.WorstCost)
	return s
}

// importJob brings a job's files into the node's own store and names them by CID.
func (e *Engine) importJob(ctx context.Context, s jobfile.Spec) (market.Job, error) {
	doc := market.Job{Name: s.Name, Args: s.Args, Env: s.Env, Outputs: s.Outputs, RealTime: s.RealTime}
	err := e.importProgram(ctx, s, &doc)
	if err != nil {
		return doc, err
	}
	for _, in := range s.Inputs {
		var root cid.Cid
		if in.CID != "" {
			root, err = e.ownCID(ctx, in.CID)
		} else {
			root, err = e.importPath(ctx, in.Path)
		}
		if err != nil {
			return doc, err
		}
		doc.Inputs = append(doc.Inputs, market.Input{At: in.At, CID: root})
	}
	return doc, nil
}

// importProgram names what is run. An image's name has its digest already.
func (e *Engine) importProgram(ctx context.Context, s jobfile.Spec, doc *market.Job) (err error) {
	switch {
	case s.Image == nil:
		doc.WASM, err = e.importPath(ctx, s.WASM)
	case s.Image.Path != "":
		doc.Image = &market.Image{}
		doc.Image.Archive, err = e.importPath(ctx, s.Image.Path)
	default:
		doc.Image = &market.Image{Ref: s.Image.Ref}
		if doc.Image.Validate() != nil {
			return wire.Refuse(BadInput, "the image %.200s has no digest", s.Image.Ref).Near("NAME@sha256:… as `souk run --dry-run` shows it")
		}
	}
	return err
}

func (e *Engine) importPath(ctx context.Context, path string) (cid.Cid, error) {
	root, _, err := blob.AddPath(ctx, e.space, path, nil)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, blob.ErrRefused) || errors.Is(err, fs.ErrPermission) {
			return cid.Undef, wire.Refuse(BadInput, "can't read the input %s: %v", path, err)
		}
		return cid.Undef, fmt.Errorf("store the input %s: %w", path, err)
	}
	return root, e.space.Pin(root, e.cfg.Clock.Now().Add(e.cfg.Times.Keep))
}

// ownCID reads the CID of an input, which must be in this node's store.
func (e *Engine) ownCID(ctx context.Context, text string) (cid.Cid, error) {
	root, err := cid.Decode(text)
	if err != nil {
		return cid.Undef, wire.Refuse(BadInput, "the input %.80q is no CID: %v", text, err)
	}
	if _, err := e.sizeOf(ctx, root); err != nil {
		return cid.Undef, wire.Refuse(BadInput, "the input %s is not in this node's store: %v", root, err).
			Near("the outputs of a job that this node ran, or a path")
	}
	return root, e.space.Pin(root, e.cfg.Clock.Now().Add(e.cfg.Times.Keep))
}

// inputBytes is about how many bytes a job's module or archive and inputs are.
func (e *Engine) inputBytes(ctx context.Context, s jobfile.Spec) (sum int64, err error) {
	var paths []string
	if p := s.Program(); p != "" {
		paths = append(paths, p)
	}
	for _, in := range s.Inputs {
		if in.CID == "" {
			paths = append(paths, in.Path)
			continue
		}
		root, err := e.ownCID(ctx, in.CID)
		if err != nil {
			return 0, err
		}
		size, err := e.sizeOf(ctx, root)
		if err != nil {
			return 0, err
		}
		sum += size
	}
	for _, p := range paths {
		size, err := sizeOnDisk(p)
		if err != nil {
			return 0, wire.Refuse(BadInput, "can't read the input %s: %v", p, err)
		}
		sum += size
	}
	return sum, nil
}

func sizeOnDisk(path string) (sum int64, err error) {
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

package ledger

import (
	"errors"
	"iter"
)

// Job gives the job with this ID.
func (tx *Tx) Job(id string) (Job, error) {
	k, err := nameKey(jobKey, id)
	return get[Job](tx, k, err)
}

// PutJob writes a job over the one with its ID.
func (tx *Tx) PutJob(j Job) error {
	k, err := nameKey(jobKey, j.ID)
	if err != nil {
		return tx.fail(err)
	}
	old, err := get[Job](tx, k, nil)
	switch {
	case err == nil && old.Created != j.Created:
		err = tx.remove(jobAge(old))
	case errors.Is(err, ErrNotFound):
		err = nil
	}
	if err != nil {
		return tx.fail(err)
	}
	if err := tx.store(jobAge(j), nil); err != nil {
		return err
	}
	return tx.store(k, &j)
}

func jobAge(j Job) key { return append(key{jobByAge}.uint64(^j.Created), j.ID...) }

// Jobs goes through all jobs, newest first.
func (tx *Tx) Jobs() iter.Seq2[Job, error] {
	return indexed(tx, key{jobByAge}, 1+ageLen+1, nil, func(k key) (Job, error) {
		return tx.Job(string(k[1+ageLen:]))
	})
}

// JobsFrom goes through the jobs whose ID begins with prefix, in the order of their IDs.
func (tx *Tx) JobsFrom(prefix string) iter.Seq2[Job, error] {
	return records[Job](tx, append(key{jobKey}, prefix...), nil)
}

// Peer gives what is known about the peer with this ID.
func (tx *Tx) Peer(id string) (Peer, error) {
	k, err := nameKey(peerKey, id)
	return get[Peer](tx, k, err)
}

// PutPeer writes a peer over the one with its ID.
func (tx *Tx) PutPeer(p Peer) error {
	k, err := nameKey(peerKey, p.ID)
	return tx.put(k, err, &p)
}

// Peers goes through all peers, by ID.
func (tx *Tx) Peers() iter.Seq2[Peer, error] { return records[Peer](tx, key{peerKey}, nil) }

// Meta gives a value of this node's own, such as a salt or a counter.
func (tx *Tx) Meta(name string) ([]byte, error) {
	k, err := nameKey(metaKey, name)
	v, err := get[value](tx, k, err)
	return v, err
}

// PutMeta writes a value of this node's own.
func (tx *Tx) PutMeta(name string, bytes []byte) error {
	k, err := nameKey(metaKey, name)
	return tx.put(k, err, (*value)(&bytes))
}

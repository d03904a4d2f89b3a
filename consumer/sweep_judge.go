package consumer

import (
	"context"
	"slices"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/sirupsen/logrus"
)

// askChunk is how many candidates are asked for their tags before the answers
// are noted.
const askChunk = 200

// judge asks the candidates that are left for their tags, and then writes one
// chunk of the results. Before the first of all the catalog is doubted.
func (w *sweep) judge(ctx context.Context, state postgres.State) error {
	if w.at.Cursor == 0 {
		if err := w.doubt(ctx, state); err != nil || w.at.State != postgres.SweepJudging {
			return err
		}
	}
	if err := w.ask(ctx, state); err != nil || w.at.State != postgres.SweepJudging {
		return err
	}
	judged := w.at
	next, err := w.db.Prove(ctx, w.at)
	if err := w.moved(ctx, next, err); err != nil {
		return err
	}
	w.cfg.Metrics.swept(0, w.at.Proven-judged.Proven)
	return w.callConfirms(ctx, state, judged)
}

// callConfirms enqueues second looks at what the chunk behind judged seems to miss.
func (w *sweep) callConfirms(ctx context.Context, state postgres.State, judged postgres.Sweep) error {
	ids, err := w.db.Looks(ctx, judged, judged.Cursor, w.at.Cursor)
	if err != nil {
		return ours(ctx, err)
	}
	var looks []gitlab.Result
	for _, id := range ids {
		looks = append(looks, gitlab.Result{Scan: judged.Scan, Project: gitlab.Project{ID: id}})
	}
	w.confirm(ctx, state, looks)
	return nil
}

// ask asks the candidates for their tags, as far as results are still to be
// written.
func (w *sweep) ask(ctx context.Context, state postgres.State) error {
	for w.at.State == postgres.SweepJudging && w.at.Cursor == 0 {
		open, err := w.open(ctx)
		if err != nil || len(open) == 0 {
			return err
		}
		err = w.underSlot(ctx, func(ctx context.Context) error {
			return w.marked(ctx, func(ctx context.Context) error { return w.tags(ctx, state, open) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// open are candidates to be asked for, without those that did not answer.
func (w *sweep) open(ctx context.Context) ([]postgres.Candidate, error) {
	all, err := w.db.SweepCandidates(ctx, w.at, askChunk+len(w.silent))
	if err != nil {
		return nil, w.moved(ctx, w.at, err)
	}
	var open []postgres.Candidate
	for _, c := range all {
		if !w.silent[c] {
			open = append(open, c)
		}
	}
	return open, nil
}

// tags asks some candidates for their tags. What was answered is noted on every
// way out; but that there are none is believed only of a registry that then shows
// that it works: one that lost everything a moment ago knows no tags, either.
func (w *sweep) tags(ctx context.Context, state postgres.State, candidates []postgres.Candidate) error {
	answers, err := w.askFor(ctx, state, candidates)
	if err == nil && slices.ContainsFunc(answers, untagged) {
		err = w.prove(ctx, state, gitlab.Project{})
	}
	if err == nil {
		return w.keepAnswers(ctx, answers)
	}
	if answers = slices.DeleteFunc(answers, untagged); len(answers) > 0 {
		w.salvage(ctx, answers)
	}
	return err
}

func untagged(c postgres.TaggedCandidate) bool { return !c.Tagged }

// askFor asks the candidates for their tags, and for no more once the first answer
// is so old that it is to be proven.
func (w *sweep) askFor(ctx context.Context, state postgres.State, candidates []postgres.Candidate) (answers []postgres.TaggedCandidate, err error) {
	began := time.Now()
	for _, c := range candidates {
		if ctx.Err() != nil {
			return answers, context.Cause(ctx)
		}
		if time.Since(began) > judgeEvery && len(answers) >= worthAProof {
			break
		}
		tagged, err := w.registry.Tagged(ctx, path(c))
		if err != nil {
			if err := w.excuse(ctx, state, c, err); err != nil {
				return answers, err
			}
			continue
		}
		answers = append(answers, postgres.TaggedCandidate{Candidate: c, Tagged: tagged})
	}
	return answers, nil
}

// path is the candidate's in the registry.
func path(c postgres.Candidate) string {
	return gitlab.Project{ID: c.ProjectID, FullPath: c.FullPath}.RepositoryPath(c.Name)
}

func (w *sweep) keepAnswers(ctx context.Context, answers []postgres.TaggedCandidate) error {
	return w.moved(ctx, w.at, w.db.SetTagged(ctx, w.at, answers))
}

// salvage keeps what was answered before the attempt was abandoned.
func (w *sweep) salvage(ctx context.Context, answers []postgres.TaggedCandidate) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), salvageTimeout)
	defer cancel()
	if err := w.keepAnswers(ctx, answers); err != nil {
		w.log.WithError(err).Warn("answers about tags are dropped; they are asked for again")
	}
}

// excuse decides what it means that a candidate's tags could not be had. It
// returns nil if the candidate alone is the reason, whose project is left to be
// scanned, else why the attempt has to end.
func (w *sweep) excuse(ctx context.Context, state postgres.State, c postgres.Candidate, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	log := w.log.WithFields(logrus.Fields{"project_id": c.ProjectID, "full_path": c.FullPath}).WithError(err)
	if blame(err) == theRegistry {
		log.Warn("the registry fails; the sweep waits for it")
		return w.mender.hold(ctx, err)
	}
	if err := w.prove(ctx, state, gitlab.Project{ID: c.ProjectID, FullPath: c.FullPath}); err != nil {
		return err
	}
	log.Warn("a repository cannot be asked for its tags; its project is scanned later")
	if w.silent == nil {
		w.silent = make(map[postgres.Candidate]bool)
	}
	w.silent[c] = true
	return nil
}

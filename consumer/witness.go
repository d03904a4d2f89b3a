package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regmend/shared/board"
	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"
)

const (
	// witnessSample is how many container repositories are looked for at most,
	// and witnessQuorum below how many no share is demanded.
	witnessSample, witnessQuorum = 200, 20
	// witnessTakes is how many seconds of requests_per_second a hearing may take,
	// while the quorum allows it: it is heard again and again.
	witnessTakes = 20
	// The witness is heard again after hearAfter, and its word is worth
	// nothing after witnessFor.
	hearAfter, witnessFor = 4 * time.Minute, 10 * time.Minute
	// witnessPatience is how many failing requests in a row end a hearing.
	witnessPatience = 3
)

// witness tells whether the registry is the one that belongs to the database,
// and whole: it looks for repositories that GitLab knows. A wrong, empty or
// half-imported registry answers every listing honestly, with nothing.
type witness struct {
	log      logrus.FieldLogger
	db       *postgres.DB
	board    *board.Board
	registry *registry.Client
	control  *control // what this process knows of one
}

// trust returns nil if the witness spoke for this run and this registry, not
// too long ago, and found its share; else the reason to hold.
func trust(heard board.Witness, run int64, registry string, share int, now time.Time) error {
	switch {
	case heard.Run != run || heard.Registry != registry || now.Sub(heard.At) > witnessFor:
		return held{board.HoldWitness, "known repositories are being looked for in the registry before anything is scanned"}
	case heard.Sampled >= witnessQuorum && heard.Found*100 < share*heard.Sampled:
		return held{board.HoldWitness, fmt.Sprintf(
			"the registry holds only %d of %d sampled container repositories that GitLab knows (witness_share demands %d %%): "+
				"is it the right registry, and complete? If it is, lower witness_share",
			heard.Found, heard.Sampled, share)}
	default:
		return nil
	}
}

// hear looks for sampled container repositories, notes the outcome on the board
// and returns it. An error says that there is none. The project of the last
// repository found becomes the control.
func (w *witness) hear(ctx context.Context, state postgres.State) (board.Witness, error) {
	sample, err := w.db.Sample(ctx, sampleSize(state.Settings.PerSecond))
	if err != nil {
		return board.Witness{}, databaseError{err}
	}
	identity, err := w.registry.Probe(ctx)
	if err != nil {
		return board.Witness{}, err
	}
	heard := board.Witness{Run: state.Run.ID, Registry: identity.Identity}
	found, err := w.count(ctx, sample, state.Settings.WitnessShare, &heard)
	if err != nil {
		return board.Witness{}, err
	}
	heard.At = time.Now()
	log := w.log.WithFields(logrus.Fields{"sampled": heard.Sampled, "found": heard.Found})
	if len(sample) < witnessQuorum {
		log.Warn("GitLab knows too few container repositories to tell whether this is its registry; scanning all the same")
	} else {
		log.Info("known repositories looked for in the registry")
	}
	if found.ID != 0 {
		if err := w.board.SetControl(ctx, state.Run.ID, found.RegistryPath()); err != nil {
			return heard, err
		}
	}
	return heard, w.board.SetWitness(ctx, heard, witnessFor)
}

func sampleSize(perSecond int) int {
	if perSecond == 0 {
		return witnessSample
	}
	return min(witnessSample, max(witnessQuorum, witnessTakes*perSecond))
}

// count counts into heard what the registry holds of the sample, until the
// share is certainly reached, and returns a project of what it found.
func (w *witness) count(ctx context.Context, sample []postgres.Sampled, share int, heard *board.Witness) (found gitlab.Project, err error) {
	errs := 0 // in a row
	for _, s := range sample {
		if len(sample) >= witnessQuorum && heard.Found*100 >= max(len(sample)*share, 1) {
			return found, nil
		}
		var holds bool
		holds, err = w.registry.Holds(ctx, s.Project.RepositoryPath(s.Name))
		heard.Sampled++
		switch {
		case ctx.Err() != nil:
			return found, context.Cause(ctx)
		case err != nil:
			if errs++; blame(err) == theRegistry || errs >= witnessPatience {
				return found, err
			}
			continue
		case holds:
			heard.Found++
			found = s.Project
		}
		errs = 0
	}
	if heard.Found == 0 {
		return found, err // that of the last request, if it failed
	}
	return found, nil
}

// prove returns nil if the registry shows that it works: the control, the last
// project that listed repositories, still lists some. Where there is none, or
// none that can speak for others, the witness is heard. suspect is the project
// whose error asks for the proof; it cannot be its own control.
func (w *witness) prove(ctx context.Context, state postgres.State, suspect gitlab.Project) error {
	control, err := w.known(ctx, state.Run.ID, suspect)
	if err != nil {
		return err
	}
	emptied := false
	if control != "" {
		listed, err := w.lists(ctx, control)
		switch {
		case listed:
			return nil
		case err == nil:
			emptied = true
		case blame(err) != unclear:
			return err
		}
	}
	heard, err := w.hear(ctx, state)
	switch {
	case err != nil:
		return err
	case emptied && heard.Found == 0:
		return held{board.HoldRegistry, fmt.Sprintf(
			"%s listed repositories before and lists none now, and none of %d sampled repositories that GitLab knows is found: "+
				"did the registry lose them? If that is meant, begin a new run: regmend run new --reason …", control, heard.Sampled)}
	case heard.Sampled == 0:
		return w.answers(ctx)
	default:
		return trust(heard, state.Run.ID, heard.Registry, state.Settings.WitnessShare, time.Now())
	}
}

// known is the control, "" if there is none but the suspect.
func (w *witness) known(ctx context.Context, run int64, suspect gitlab.Project) (string, error) {
	if path := w.control.latest(run); path != "" && path != suspect.RegistryPath() {
		return path, nil
	}
	path, known, err := w.board.Control(ctx, run)
	if !known || path == suspect.RegistryPath() {
		path = ""
	}
	return path, err
}

// answers returns nil if the registry can say of a name that nobody has that it
// holds nothing. That is the least it can show where nothing is known of it.
func (w *witness) answers(ctx context.Context) error {
	_, err := w.lists(ctx, "regmend-asks-whether-lists-work/"+uuid.NewString())
	return err
}

// errEnough ends a listing of which no more needs to be known.
var errEnough = errors.New("enough")

// lists tells whether the project of that registry path lists a repository. A
// catalog tells that with its first page, whoever's the repository is.
func (w *witness) lists(ctx context.Context, path string) (bool, error) {
	project := gitlab.Project{FullPath: path}
	survey, err := w.registry.Survey(ctx, []gitlab.Project{project})
	if err != nil {
		return false, err
	}
	if survey.NonEmpty() {
		_, err = survey.List(ctx, project, something)
	} else {
		_, err = w.registry.Catalog(ctx, something)
	}
	if errors.Is(err, errEnough) {
		return true, nil
	}
	return false, err
}

// something ends a listing as soon as it holds something.
func something[T any](page []T) error {
	if len(page) > 0 {
		return errEnough
	}
	return nil
}

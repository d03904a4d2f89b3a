package cmd

import (
	"context"
	"io"
	"io/fs"
	"strings"
	"time"

	"regmend/shared/postgres"
	"regmend/shared/registry"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// What tests of this package see of its inside: pure functions, by value.

func ParseIDs(name string, r io.Reader) ([]int64, error) { return parseIDs(name, r) }

func NewRedis(url string) (redis.UniversalClient, error) { return newRedis(url) }

type RedisFacts = redisFacts

func JudgeRedis(f RedisFacts) []string { return lines(judgeRedis(f)) }

func JudgeClock(ahead, off time.Duration) string {
	return judgeClock(clock{Of: "postgres", Ahead: ahead, Off: off}).String()
}

func JudgePostgres(in postgres.Inspection, schemaErr error) []string {
	return lines(judgePostgres(in, schemaErr))
}

func JudgeRegistry(in registry.Inspection) []string { return lines(judgeRegistry(in)) }

func JudgeTransport(url, credentials string) string { return judgeTransport(url, credentials).String() }

func JudgeKeyFile(file string, mode fs.FileMode) string { return judgeKeyFile(file, mode).String() }

func JudgeStrategy(s postgres.Settings, in registry.Inspection) string {
	return judgeStrategy(s, in).String()
}

type Looked = looked

func JudgeWitness(l Looked, share int) string { return judgeWitness(l, share).String() }

func lines(findings []finding) []string {
	var text []string
	for _, f := range findings {
		text = append(text, f.String())
	}
	return text
}

// Variable is what the contract says of a variable.
type Variable struct {
	Name   string
	Flag   bool
	Secret bool // has a _FILE
}

func Variables() []Variable {
	var variables []Variable
	for _, v := range new(configuration).variables() {
		variables = append(variables, Variable{v.name, v.secrecy != secret, v.file() != ""})
	}
	return variables
}

func NewLog(p Process, format string) *logrus.Logger {
	return newLog(p, &configuration{logLevel: "debug", logFormat: format})
}

func CSVCell(text string) string { return cell(text) }

func Printable(text string) string { return printable(text) }

type Status = status

func Scoped(s Status, scope ...string) Status {
	s.more.scope = scope
	return s
}

func (s *status) Balance() bool { return s.balance() }
func (s *status) Fault() error  { return s.fault() }

func ProgressBar(s *Status, rate float64, columns int) string { return progressBar(s, rate, columns) }

type Pace = pace

func (p *pace) Add(at time.Time, done int64) { p.add(at, done) }
func (p *pace) Rate() float64                { return p.rate() }

func TimeLeft(pending int64, rate float64) string { return timeLeft(pending, rate) }

func Alongside(ctx context.Context, work func(context.Context) error, helpers ...func(context.Context) error) error {
	runners := make([]runner, len(helpers))
	for i, help := range helpers {
		runners[i] = help
	}
	return alongside(ctx, work, runners...)
}

type Price = price

func (p price) Takes() time.Duration { return p.takes(p.Slots) }

func (p price) Text() string {
	var text strings.Builder
	p.print(&text)
	return text.String()
}

func JudgeKindness(state postgres.State, now time.Time) []string {
	return lines(judgeKindness(state, now))
}

func JudgeRepair(r postgres.RepairRights, differences []string) string {
	return judgeRepair(r, differences).String()
}

func RepairBar(p postgres.Plan, columns int) string { return repairBar(p, columns) }

func RepairOver(p postgres.Plan) bool { return over(p) }

package cmd

import (
	"io"
	"time"

	"github.com/redis/go-redis/v9"
)

// What tests of this package see of its inside: pure functions, by value.

func ParseIDs(name string, r io.Reader) ([]int64, error) { return parseIDs(name, r) }

func NewRedis(url string) (redis.UniversalClient, error) { return newRedis(url) }

type RedisFacts = redisFacts

func JudgeRedis(f RedisFacts) []string { return lines(judgeRedis(f)) }

func JudgeClock(ahead, off time.Duration) string {
	return judgeClock(clock{Of: "postgres", Ahead: ahead, Off: off}).String()
}

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

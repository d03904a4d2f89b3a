package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// parseIDs reads project IDs, one a line or several between blanks or commas;
// what follows a # is a remark. name is what errors call the input. IDs come in
// the order of the input, repetitions included. If anything is not an ID there
// are none, and the error has a line for each of the first faults.
func parseIDs(name string, r io.Reader) ([]int64, error) {
	p := idParser{name: name, line: 1}
	in := bufio.NewReader(r)
	for {
		c, _, err := in.ReadRune()
		switch {
		case errors.Is(err, io.EOF):
			p.endWord()
			return p.result()
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		p.read(c)
	}
}

// byteOrderMark begins files of some editors.
const byteOrderMark = '\uFEFF'

// longestWord bounds what is kept of a word; the longest ID has 19 digits.
const longestWord = 40

type idParser struct {
	name   string
	line   int
	remark bool
	begun  bool
	word   strings.Builder
	length int // of the word, in runes
	ids    []int64
	faults faultList
}

func (p *idParser) read(c rune) {
	first := !p.begun
	p.begun = true
	switch {
	case c == '\n':
		p.endWord()
		p.line++
		p.remark = false
	case p.remark || (first && c == byteOrderMark):
	case c == '#':
		p.endWord()
		p.remark = true
	case c == ' ' || c == '\t' || c == '\r' || c == ',' || c == ';':
		p.endWord()
	default:
		p.length++
		if p.length <= longestWord {
			p.word.WriteRune(c)
		}
	}
}

func (p *idParser) endWord() {
	if p.length == 0 {
		return
	}
	word := p.word.String()
	if p.length > longestWord {
		word += "…"
	}
	p.word.Reset()
	p.length = 0
	id, err := parseID(word)
	if err != nil {
		p.faults.add(fmt.Sprintf("%s, line %d: %s", p.name, p.line, err))
		return
	}
	p.ids = append(p.ids, id)
}

func (p *idParser) result() ([]int64, error) {
	if err := p.faults.err(); err != nil {
		return nil, err
	}
	return p.ids, nil
}

// parseID reads one project ID: decimal digits, nothing else.
func parseID(word string) (int64, error) {
	id, err := strconv.ParseUint(word, 10, 63)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("%q is not a project ID: IDs are whole numbers from 1 on", word)
	}
	return int64(id), nil
}

// faultList keeps the first faults and counts the rest.
type faultList struct {
	lines []string
	more  int
}

// shownFaults is how many faults of one input are worth a line.
const shownFaults = 10

func (f *faultList) add(line string) {
	if len(f.lines) < shownFaults {
		f.lines = append(f.lines, line)
		return
	}
	f.more++
}

// err is nil if there was no fault.
func (f *faultList) err() error {
	if len(f.lines) == 0 {
		return nil
	}
	lines := f.lines
	if f.more > 0 {
		lines = append(lines[:len(lines):len(lines)], fmt.Sprintf("and %d more", f.more))
	}
	return misuse{errors.New(strings.Join(lines, "\n"))}
}

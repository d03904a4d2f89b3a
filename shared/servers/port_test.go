package servers

import (
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

func TestPortThatIsTakenBeforeTheServerHasIt(t *testing.T) {
	var offered []int
	var s server
	err := s.startOnFreePort(t.Context(), func(port int) (program, error) {
		if offered = append(offered, port); len(offered) == 1 {
			thief, err := net.Listen("tcp", loopback(port))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { thief.Close() })
		}
		return redisProgram(port, filepath.Join(t.TempDir(), "log"), func() *exec.Cmd {
			return exec.Command("redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "")
		}), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop() //nolint:errcheck // other tests look at that
	if len(offered) != 2 {
		t.Errorf("ports tried: %v, want a second one after the taken one", offered)
	}
}

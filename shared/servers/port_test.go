package servers

import (
	"fmt"
	"net"
	"os"
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

// A server that is down for a moment must find its port again.
func TestAPortIsGivenAwayOnce(t *testing.T) {
	if os.Getenv("PORT_OF_ANOTHER") != "" {
		port, err := strconv.Atoi(os.Getenv("PORT_OF_ANOTHER"))
		if err != nil {
			t.Fatal(err)
		}
		if reserved.take(port) {
			t.Errorf("port %d can be had by another process", port)
		}
		return
	}
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	if !isFree(port) {
		t.Errorf("port %d is not free for the server that it is for", port)
	}
	if reserved.take(port) {
		t.Errorf("port %d can be had twice", port)
	}
	other := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	other.Env = append(os.Environ(), fmt.Sprint("PORT_OF_ANOTHER=", port))
	if said, err := other.CombinedOutput(); err != nil {
		t.Errorf("in another process: %v\n%s", err, said)
	}
}
